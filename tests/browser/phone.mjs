// A real browser as wide as a phone, and what has to hold of every page in it.
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

// Opens the browser on the pages at `base`.
export async function open(base) {
  const browser = await puppeteer.launch({
    // POOLKEEPER_TEST_BROWSER: another one than the one inside the package.
    executablePath: process.env.POOLKEEPER_TEST_BROWSER || (await chromium.executablePath()),
    headless: "shell",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-zygote"],
  });
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
  return { browser, page, noise, text, follow, fits, readable };
}
