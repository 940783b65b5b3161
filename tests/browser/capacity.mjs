// Opens the page of capacity in a real browser: on a phone, in the light and in the dark, and on paper.
// Arguments: the address, how many charts there are, a text that nothing has in its name.
// Prints one line of JSON.
import assert from "node:assert/strict";
import { open } from "./phone.mjs";

const [base, charts, nothing] = process.argv.slice(2);
const { browser, page, noise, text, follow, fits, readable } = await open(base);

try {
  await page.goto(`${base}/api/incidents`);
  await follow('header a[href="/api/capacity"]');
  await fits("capacity");
  const drawings = () =>
    page.$$eval("section > svg.chart", (all) =>
      all.map((svg) => {
        const box = svg.getBoundingClientRect();
        const stroke = (name) => {
          const line = svg.querySelector(name);
          return line && getComputedStyle(line).stroke;
        };
        const letters = [...svg.querySelectorAll("text")].map((one) => one.getBoundingClientRect());
        const title = svg.querySelector("title").textContent;
        return {
          title,
          words: svg.querySelector("desc").textContent,
          width: box.width,
          outside: letters.filter((one) => one.left < box.left - 1 || one.right > box.right + 1).length,
          small: letters.filter((one) => one.height < 11).length,
          measured: stroke(".measured"),
          forecast: stroke(".forecast"),
          dashed: getComputedStyle(svg.querySelector(".forecast")).strokeDasharray,
          interval: getComputedStyle(svg.querySelector(".interval")).fill,
        };
      }),
    );
  const seen = {};
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    seen[scheme] = await drawings();
    assert.equal(seen[scheme].length, Number(charts), "as many charts as things");
    for (const chart of seen[scheme]) {
      assert.ok(chart.width > 300 && chart.width <= 360, `${chart.title}: ${chart.width} wide`);
      assert.deepEqual([chart.outside, chart.small], [0, 0], `${chart.title}: letters can be read`);
      assert.notEqual(chart.measured, chart.forecast, `${chart.title}: two lines`);
      assert.notEqual(chart.dashed, "none", `${chart.title}: not told by colour alone`);
      assert.match(chart.words, /Measured from .* Forecast until .* 95 % interval up to/);
    }
  }
  assert.notEqual(seen.light[0].measured, seen.dark[0].measured, "seen on light and on dark");
  assert.notEqual(seen.light[0].interval, seen.dark[0].interval);
  assert.match(await text("main"), /a month/);
  await readable("h2");
  await readable(".chart text");

  await page.click("summary");
  await fits("capacity-more");

  // On paper nothing is cut, and there are no forms.
  await page.emulateMediaType("print");
  assert.equal(await page.$eval("form", (form) => getComputedStyle(form).display), "none");
  const pdf = await page.pdf({ format: "A4" });
  assert.equal(Buffer.from(pdf.slice(0, 5)).toString(), "%PDF-");
  await page.emulateMediaType(null);

  await page.type("#text", nothing);
  await follow("form button");
  assert.match(await text("main"), /There is nothing to show/);
  assert.equal(await page.$eval("#text", (field) => field.value), nothing);
  await readable("#text");
  await fits("capacity-nothing");
  assert.deepEqual(noise, [], "what the browser complains of");
  console.log(JSON.stringify({ browser: await browser.version(), pdf: pdf.length, charts: seen.light.length }));
} finally {
  await browser.close();
}
