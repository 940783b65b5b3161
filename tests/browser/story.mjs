// Opens the pages of incidents in a real browser, and does what somebody on duty does.
// Arguments: the address, the id of an incident, a key, its title. Prints one line of JSON.
import assert from "node:assert/strict";
import puppeteer from "puppeteer-core";

// The package brings the libraries that its browser needs, and uses them where it is told so: then
// nothing of the machine matters.
process.env.AWS_LAMBDA_JS_RUNTIME ??= "nodejs20.x";
const { default: chromium } = await import("@sparticuz/chromium");

const [base, id, key, title] = process.argv.slice(2);
const browser = await puppeteer.launch({
  // POOLKEEPER_TEST_BROWSER: another one than the one inside the package.
  executablePath: process.env.POOLKEEPER_TEST_BROWSER || (await chromium.executablePath()),
  headless: "shell",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-zygote"],
});

try {
  const page = await browser.newPage();
  await page.setViewport({ width: 360, height: 740, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
  const noise = [];
  page.on("console", (message) => noise.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => noise.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    noise.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("requestfailed", (request) => noise.push(`failed: ${request.url()}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith("data:")) noise.push(`elsewhere: ${url}`);
  });

  const text = (selector) => page.$eval(selector, (element) => element.textContent.trim());
  const follow = (selector) => Promise.all([page.waitForNavigation(), page.click(selector)]);
  // What has to hold of every page on a phone, light or dark.
  const fits = async (name) => {
    for (const scheme of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      const seen = await page.evaluate(() => {
        const small = (element) => {
          const box = element.getBoundingClientRect();
          return box.height > 0 && box.height < 43.5 && element.type !== "checkbox";
        };
        const clickable = [...document.querySelectorAll("a, button, input, select, textarea, summary")];
        const style = getComputedStyle(document.body);
        return {
          width: document.documentElement.scrollWidth,
          inner: window.innerWidth,
          small: clickable.filter(small).map((element) => element.outerHTML),
          colours: [style.backgroundColor, style.color],
          bold: getComputedStyle(document.querySelector("h1")).fontSize,
          scripts: document.scripts.length,
          images: document.images.length,
        };
      });
      assert.equal(seen.inner, 360, `${name}: the width of the window`);
      assert.ok(seen.width <= seen.inner, `${name}: ${seen.width} of ${seen.inner} pixels`);
      assert.deepEqual(seen.small, [], `${name}: too small for a thumb`);
      assert.equal(seen.scripts + seen.images, 0, `${name}: scripts or images`);
      // The style is the page's own: without it, both schemes look the same.
      const dark = scheme === "dark";
      assert.equal(seen.colours[0], dark ? "rgb(20, 20, 20)" : "rgb(255, 255, 255)", `${name}, ${scheme}`);
    }
    if (process.env.POOLKEEPER_TEST_SHOTS) {
      await page.screenshot({ path: `${process.env.POOLKEEPER_TEST_SHOTS}/${name}.png`, fullPage: true });
    }
  };

  await page.goto(`${base}/api/incidents`);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  await fits("list");
  await page.click("summary");
  await fits("filter");
  await follow(`a[href="/api/incidents/${id}"]`);
  await fits("incident");
  assert.equal(await text("#title"), title, "the title is text");
  assert.match(await text("#status"), /open/);

  await page.type("#sign-in input[name=key]", key);
  await follow("#sign-in button");
  assert.equal(page.url(), `${base}/api/incidents/${id}`);
  await fits("signed-in");
  const [cookie] = await browser.cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict" && cookie.path === "/api", JSON.stringify(cookie));
  assert.ok(!cookie.value.includes(key), "the cookie holds the key");

  await page.type("#ack textarea", "見ています");
  await follow("#ack button");
  assert.equal(page.url(), `${base}/api/incidents/${id}`);
  assert.match(await text("#status"), /acknowledged/);
  assert.match(await text("#timeline"), /見ています/);
  await fits("acknowledged");

  // The browser itself asks for the reason that is missing.
  await page.click("#resolve button");
  assert.match(await text("#status"), /acknowledged/);
  await page.type("#resolve textarea", "rolled back <b>");
  await follow("#resolve button");
  assert.match(await text("#status"), /resolved/);
  assert.match(await text("#timeline"), /rolled back <b>/);
  await fits("resolved");

  const pdf = await page.pdf({ format: "A4" });
  assert.equal(Buffer.from(pdf.slice(0, 5)).toString(), "%PDF-");

  await follow("header button");
  assert.equal((await browser.cookies()).length, 0, "signed out");
  await page.goto(`${base}/api/incidents/${id}`);
  assert.equal(await page.$("input[name=token]"), null, "no forms for whoever is signed out");
  assert.deepEqual(noise, [], "what the browser complains of");
  console.log(JSON.stringify({ browser: await browser.version(), pdf: pdf.length, page: (await page.content()).length }));
} finally {
  await browser.close();
}
