// How the page holds up: on a phone, in both colour schemes, by keyboard alone, and while Relay is away.

import { expect, test } from "bun:test";
import { DESKTOP, PHONE } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { openPageLab } from "./page-lab.ts";

const VIEWS = ["/", "/page/deliveries", "/page/dead-letters", "/page/logging"];

test("no view scrolls sideways on a screen of 390 or 320 pixels, with its rows in it", async () => {
  await using lab = await openPageLab({ respond: () => ({ status: 422, body: "x".repeat(500) }) });
  await lab.publish("shipping", `{"line":"${"x".repeat(500)}"}`);
  await lab.relay.logged("Message dead-lettered");
  await eventually(async () => {
    const answer = await fetch(`${lab.url}/api/deliveries`);
    return ((await answer.json()) as { items: unknown[] }).items.length === 1;
  });
  const seen: unknown[] = [];
  for (const width of [390, 320]) {
    for (const path of VIEWS) {
      const page = await lab.browser.open(lab.url + path, { ...PHONE, viewport: { width, height: 844 } });
      await page.locator("#view:not([aria-busy])").waitFor();
      await page.locator(".card").first().waitFor();
      seen.push([width, path, await page.evaluate("document.documentElement.scrollWidth")]);
      await page.context().close();
    }
  }
  expect(seen).toEqual([390, 320].flatMap((width) => VIEWS.map((path) => [width, path, width])));
  expect(lab.browser.faults).toEqual([]);
}, 60_000);

test("light and dark are the reader's choice, and text stands out in both", async () => {
  await using lab = await openPageLab();
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await lab.browser.open(lab.url, { ...DESKTOP, colorScheme });
    await page.locator(".row").first().waitFor();
    const luminance = `(() => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const of = (color) => {
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => {
          const share = part / 255;
          return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const card = of(getComputedStyle(document.querySelector(".row")).backgroundColor);
      return [".row h2", ".place", ".figures dt", ".links a"].map((name) => {
        const text = of(getComputedStyle(document.querySelector(name)).color);
        return (Math.max(text, card) + 0.05) / (Math.min(text, card) + 0.05);
      });
    })()`;
    const contrasts = await page.evaluate<readonly number[]>(luminance);
    expect(Math.min(...contrasts)).toBeGreaterThan(4.5);
    const isDark =
      (await page.evaluate("getComputedStyle(document.body).backgroundColor")) === "rgb(20, 22, 28)";
    expect(isDark).toBe(colorScheme === "dark");
  }
  expect(lab.browser.faults).toEqual([]);
}, 60_000);

test("by keyboard alone: to a dead letter, into its panel, out again to where one was", async () => {
  await using lab = await openPageLab({ respond: () => 422 });
  await lab.publish("shipping", '{"order":1}');
  await lab.relay.logged("Message dead-lettered");
  const page = await lab.browser.open(`${lab.url}/page/dead-letters`);
  const open = page.getByRole("button", { name: /^Dead letter of/ });
  await open.waitFor();
  await page.keyboard.press("Tab");
  expect(await page.evaluate("document.activeElement.textContent.trim()")).toBe("Skip to the content");
  const focused = () => page.evaluate('document.activeElement.getAttribute("aria-label")');
  for (let tabs = 0; tabs < 40 && !String(await focused()).startsWith("Dead letter of"); tabs += 1) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  const panel = page.getByRole("dialog", { name: "Dead letter" });
  await panel.getByText('"order": 1').waitFor();
  expect(await page.evaluate('document.activeElement.closest("dialog") !== null')).toBe(true);
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
  expect(await focused()).toStartWith("Dead letter of");
  expect(lab.browser.faults).toEqual([]);
}, 60_000);

test("a relay that goes away is said at once, and what was shown stays", async () => {
  await using lab = await openPageLab();
  const page = await lab.browser.open(lab.url);
  await page.getByText("Ready", { exact: true }).waitFor();
  lab.relay.signal("SIGKILL");
  await page.getByText("No answer", { exact: true }).waitFor();
  expect(await page.locator(".row").count()).toBe(3);
}, 60_000);
