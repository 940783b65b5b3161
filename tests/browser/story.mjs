// Opens the pages of incidents in a real browser, and does what somebody on duty does.
// Arguments: the address, the id of an incident, a key, its title. Prints one line of JSON.
import assert from "node:assert/strict";
import { open } from "./phone.mjs";

const [base, id, key, title] = process.argv.slice(2);
const { browser, page, noise, text, follow, fits, readable } = await open(base);

try {
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
