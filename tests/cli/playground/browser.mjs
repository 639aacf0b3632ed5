// Uses the playground in Chromium as a person does: `browser.mjs MODULES CHROMIUM PAGE SCENARIO`. Standard input is the JSON that
// the scenario needs. Standard output is the JSON of its result, of all requests, and of all errors of the page.
import fs from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , modules, executablePath, file, scenario] = process.argv;
const require = createRequire(`${fs.realpathSync(modules)}/`);
const { chromium } = require("playwright-core");
const url = pathToFileURL(file).href;
const given = JSON.parse(fs.readFileSync(0, "utf8") || "null");

// Chromium must not look for its servers, which a machine without a network would report.
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--font-render-hinting=none"];
const browser = await chromium.launch({ executablePath, args });
const requests = [];
const problems = [];

/** Opens the page, ready for use. */
async function open({ hash = "", width = 1440, height = 1000, colorScheme = "light" } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme });
  page.on("request", (request) => requests.push(request.url().replace(/#.*/s, "")));
  page.on("console", (message) => problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(url + hash);
  await page.waitForSelector("body[data-ready]");
  return page;
}

/** Returns what the page shows. */
const shown = (page) => page.evaluate(() => {
  const text = (id) => document.getElementById(id).textContent;
  const findings = [...document.querySelectorAll("#findings li")].map((item) => {
    const [message] = [...item.querySelectorAll("p")].map((paragraph) => paragraph.textContent);
    const [line, action] = [item.querySelector(".small").textContent, item.className];
    const [path, rule] = ["code", ".rule-id"].map((name) => item.querySelector(name)?.textContent ?? "");
    return { action, line, path, message, rule, badge: item.querySelector(".badge").textContent };
  });
  const diff = [...document.querySelectorAll(".diff span")].map((line) => line.textContent);
  const marks = [...document.querySelectorAll(".gutter div[class]:not([class=''])")].map((line) => line.textContent);
  const lit = [...document.querySelectorAll("#lifecycle .is-now, #lifecycle .is-step")].map((part) => ({ ...part.dataset }));
  return {
    findings, diff, marks, lit,
    summary: text("summary"), kubectl: text("kubectl"), phase: text("phase"), conditions: text("conditions"), counts: text("counts"),
    mutating: text("mutating"), validating: text("validating"), text: document.getElementById("text").value,
  };
});

/** Shows an example, such as `cve-total/2`. */
const example = (page, name) => change(page, () => page.evaluate((name) => { location.hash = name; }, name));

const paste = (page, text) => change(page, () => page.fill("#text", text));

/** Does something, and waits until the page has judged what it then holds. */
async function change(page, action) {
  await page.evaluate(() => document.getElementById("summary").replaceChildren("…"));
  await action();
  await page.waitForFunction(() => document.getElementById("summary").textContent !== "…");
}

const scenarios = {
  async examples(names) {
    const page = await open();
    const all = {};
    for (const name of names) {
      await example(page, name);
      all[name] = await shown(page);
    }
    return all;
  },

  /** Takes over what the mutations write. */
  async mutations({ examples, texts }) {
    const page = await open();
    const all = {};
    const take = async (name) => {
      await change(page, () => page.click("#take"));
      all[name] = { ...(await shown(page)), isLeft: await page.isVisible("#take") };
    };
    for (const name of examples) {
      await example(page, name);
      await take(name);
    }
    await change(page, () => page.selectOption("#write", "file"));
    for (const [name, text] of Object.entries(texts)) {
      await paste(page, text);
      await take(name);
    }
    return all;
  },

  async reviews(reviews) {
    const page = await open();
    const all = {};
    for (const [name, text] of Object.entries(reviews)) {
      await paste(page, text);
      all[name] = await shown(page);
    }
    return all;
  },

  async split(text) {
    const page = await open();
    await paste(page, text);
    const review = await shown(page);
    await page.click("#split button");
    return { review, split: await shown(page), state: await page.evaluate(() => state()) };
  },

  /** Changes everything that a link restores, and opens the link in another page. */
  async link() {
    const page = await open();
    await example(page, "phase-jump/1");
    await change(page, () => page.fill("#text", "apiVersion: v1\nkind: Pod\n# é 漢 🦀\n"));
    await page.click("#settings summary");
    await change(page, () => page.selectOption("#mode-cve-total", "audit"));
    await change(page, () => page.fill("#user", "somebody"));
    await page.click("#share");
    await page.waitForFunction(() => document.getElementById("shared").textContent !== "");
    const hash = await page.evaluate(() => location.hash);
    const other = await open({ hash });
    const states = [await page.evaluate(() => state()), await other.evaluate(() => state())];
    return { hash, states, shown: [await shown(page), await shown(other)] };
  },

  async keyboard() {
    const page = await open({ hash: "#phase-unknown" });
    const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
    const order = [];
    for (let step = 0; step < 9; step += 1) {
      await page.keyboard.press("Tab");
      order.push(await focused());
    }
    await page.locator("#findings button", { hasText: "Line" }).first().focus();
    await page.keyboard.press("Enter");
    const [at, selected] = [await focused(), await page.evaluate(() => getSelection().toString())];
    await page.locator("#findings button", { hasText: "Use" }).focus();
    await change(page, () => page.keyboard.press("Enter"));
    const used = await shown(page);
    await change(page, () => page.keyboard.press("Control+z"));
    const undone = await shown(page);
    await page.locator(".rule-id").first().focus();
    await page.keyboard.press("Enter");
    const explained = await focused();
    await page.focus(".skip");
    await page.keyboard.press("Enter");
    return { order, at, selected, used, undone, explained, skipped: await focused(), after: await shown(page) };
  },

  async modes() {
    const page = await open({ hash: "#phase-unknown" });
    await page.click("#settings summary");
    const all = {};
    for (const mode of ["deny", "warn", "audit", "off"]) {
      if (mode !== "deny") await change(page, () => page.selectOption("#mode-phase-unknown", mode));
      all[mode] = await shown(page);
    }
    return all;
  },

  async accessibility() {
    const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    const all = {};
    for (const hash of ["#phase-jump", "#cve-total", "#status-writer"]) {
      for (const view of [{ colorScheme: "light" }, { colorScheme: "dark" }, { width: 390, height: 844 }]) {
        const page = await open({ hash, ...view });
        await page.click("#settings summary");
        await page.click("#answers summary");
        await page.evaluate(axe);
        const { violations, passes } = await page.evaluate(() => axe.run());
        const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`));
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        all[`${hash} ${JSON.stringify(view)}`] = { found, passes: passes.length, overflow };
        await page.close();
      }
    }
    return all;
  },

  /** Takes the pictures of README.md, and compares them with the committed ones: the share of a 16th of the pixels that differ. */
  async pictures(pictures) {
    const all = {};
    for (const { path, committed, hash, ...view } of pictures) {
      const page = await open({ hash, ...view });
      await page.screenshot({ path });
      all[path] = fs.existsSync(committed) ? await page.evaluate(difference, [path, committed].map((name) => fs.readFileSync(name, "base64"))) : 1;
      await page.close();
    }
    return all;
  },
};

/** Returns how much two pictures differ, from 0 to 1. They are compared at an eighth of their size, where the fonts do not matter. */
async function difference(pictures) {
  const pixels = await Promise.all(pictures.map(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const [width, height] = [bitmap.width, bitmap.height].map((size) => Math.ceil(size / 8));
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  }));
  const [now, before] = pixels;
  if (now.width !== before.width || now.height !== before.height) return 1;
  const differs = now.data.filter((value, index) => Math.abs(value - before.data[index]) > 40);
  return differs.length / now.data.length;
}

const result = await scenarios[scenario](given);
await browser.close();
process.stdout.write(JSON.stringify({ result, requests, problems, url }));
