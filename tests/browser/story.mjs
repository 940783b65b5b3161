// Opens the pages of incidents in a real browser, and does what somebody on duty does.
// Arguments: the address, the id of an incident, a key, its title. Prints one line of JSON.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

// The package brings the libraries that its browser needs, and uses them where it is told so: then
// nothing of the machine matters.
process.env.AWS_LAMBDA_JS_RUNTIME ??= "nodejs20.x";
// The pages use the fonts of whoever reads them. Here that are the browser's own, which know no
// Japanese, and one that does.
const japanese = dirname(
  fileURLToPath(import.meta.resolve("@expo-google-fonts/sawarabi-gothic/400Regular/SawarabiGothic_400Regular.ttf")),
);
const fonts = join(tmpdir(), "story-fonts.conf");
writeFileSync(
  fonts,
  `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>${join(tmpdir(), "fonts")}</dir><dir>${japanese}</dir><cachedir>${join(tmpdir(), "font-cache")}</cachedir>
</fontconfig>`,
);
process.env.FONTCONFIG_FILE ??= fonts;
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
          heading: ["fontSize", "fontWeight"].map((name) => getComputedStyle(document.querySelector("h1"))[name]),
          body: style.fontSize,
          scripts: document.scripts.length,
          images: document.images.length,
        };
      });
      assert.equal(seen.inner, 360, `${name}: the width of the window`);
      assert.ok(seen.width <= seen.inner, `${name}: ${seen.width} of ${seen.inner} pixels`);
      assert.deepEqual(seen.small, [], `${name}: too small for a thumb`);
      assert.equal(seen.scripts + seen.images, 0, `${name}: scripts or images`);
      assert.deepEqual([seen.heading, seen.body], [["21.6px", "700"], "16px"], `${name}: the heading stands out`);
      // The style is the page's own: without it, both schemes look the same.
      const dark = scheme === "dark";
      assert.equal(seen.colours[0], dark ? "rgb(20, 20, 20)" : "rgb(255, 255, 255)", `${name}, ${scheme}`);
    }
    if (process.env.POOLKEEPER_TEST_SHOTS) {
      await page.screenshot({ path: `${process.env.POOLKEEPER_TEST_SHOTS}/${name}.png`, fullPage: true });
    }
  };

  // Characters as the page draws them with the fonts of an element, each as its pixels.
  const drawn = (selector, characters) =>
    page.$eval(
      selector,
      (element, characters) => {
        const { fontStyle, fontWeight, fontFamily } = getComputedStyle(element);
        return characters.map((character) => {
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 64;
          const context = canvas.getContext("2d");
          context.font = `${fontStyle} ${fontWeight} 40px ${fontFamily}`;
          context.fillText(character, 8, 48);
          const { data } = context.getImageData(0, 0, 64, 64);
          return Array.from({ length: 64 * 64 }, (_, at) => (data[at * 4 + 3] > 127 ? 1 : 0)).join("");
        });
      },
      characters,
    );
  // What no font has is drawn as a box, and each such character as the same one.
  const readable = async (selector) => {
    const known = ["漢", "字", "応", "答", "遅", "い", "見", "ア"];
    const [box, otherBox, ...seen] = await drawn(selector, ["\ue0f1", "\ue0f2", ...known]);
    assert.equal(box, otherBox, `${selector}: what a font does not have`);
    assert.equal(new Set([box, ...seen]).size, known.length + 1, `${selector}: Japanese is drawn as boxes`);
    seen.forEach((pixels, at) => assert.ok(pixels.includes("1"), `${selector}: ${known[at]} is not drawn`));
  };

  await page.goto(`${base}/api/incidents`);
  await follow('header a[href="/api/oncall"]');
  await fits("on-call");
  await follow('header a[href="/api/incidents"]');
  assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
  await fits("list");
  await page.click("summary");
  await fits("filter");
  await follow(`a[href="/api/incidents/${id}"]`);
  await fits("incident");
  assert.equal(await text("#title"), title, "the title is text");
  assert.match(await text("#status"), /open/);
  assert.match(await text("#told-next"), /told .* unless somebody acknowledges it/);
  await readable("#title");

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
  await readable("#timeline");
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
