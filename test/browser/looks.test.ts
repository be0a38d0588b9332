// How the page holds up: on a phone, in both colour schemes, by keyboard alone, and while Relay is away.

import { expect, test } from "bun:test";
import { findingsOf } from "./axe.ts";
import { DESKTOP, PHONE } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { openPageLab } from "./page-lab.ts";

const VIEWS = [
  "/",
  "/page/deliveries",
  "/page/dead-letters",
  "/page/replays",
  "/page/logging",
  "/page/subscriptions/shipping",
  "/page/new-subscription",
  "/webhook",
  "/webhook/page/new-subscription",
  "/webhook/page/subscriptions/own",
  "/webhook/page/subscriptions/own/edit",
];
/** Of one subscription made by API, with a fleet of one relay. */
const MORE = {
  state: { key: Buffer.alloc(32, 7).toString("base64") },
  callbacks: { allow: ["127.0.0.0/8"] },
  fleet: { enabled: true },
  host: { name: "edge-7" },
};

test("axe finds nothing on any view, panel or dialog, light and dark", async () => {
  await using lab = await openPageLab({ more: MORE });
  lab.flow(["billing"]);
  await lab.publish("broken", "{}");
  for (let order = 1; order <= 4; order += 1) await lab.publish("shipping", "{}");
  await lab.relay.logged("Message dead-lettered");
  const configuration = { channel: "orders.own", callbackUrl: new URL("/hooks/own", lab.receiver.url).href };
  const post = async (path: string, body: object) => {
    const answer = await fetch(lab.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return ((await answer.json()) as { id: string }).id;
  };
  await post("/webhook/subscriptions", { id: "own", configuration });
  const replay = await post("/api/replays", { filter: {}, dryRun: true });
  const found: string[] = [];
  const page = await lab.browser.open(lab.url, { ...DESKTOP, reducedMotion: "reduce" });
  const dialog = page.getByRole("dialog");
  const look = async (name: string) => found.push(...(await findingsOf(page, name)));
  const unfold = () =>
    page.evaluate('document.querySelectorAll("details").forEach((box) => (box.open = true))');
  for (const path of [...VIEWS, `/page/replays/${replay}`, "/page/hosts", "/page/hosts/edge-7", "/nothing"]) {
    await page.goto(lab.url + path);
    await page.locator("#view:not([aria-busy]) > :not([hidden])").first().waitFor();
    if (/new-subscription|edit/u.test(path)) await unfold();
    await look(path);
  }
  const lookAt = async (name: string, button: string | RegExp) => {
    await page.getByRole("button", { name: button }).first().click();
    await dialog.waitFor();
    await look(name);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  };
  await page.goto(`${lab.url}/page/deliveries?subscription=shipping&subscription=broken`);
  await page.locator("tbody .message a").first().click();
  await dialog.getByText("Request headers").waitFor();
  await look("delivery in a panel");
  await dialog.getByRole("button", { name: "Send again" }).click();
  await page.getByRole("dialog", { name: "Send again" }).waitFor();
  await look("send again");
  await page.reload();
  await page.getByText("Request headers").waitFor();
  await look("delivery");
  await page.goto(`${lab.url}/page/dead-letters`);
  await page.locator("tbody .message a").first().click();
  await dialog.getByText("Why").waitFor();
  await look("dead letter in a panel");
  await page.reload();
  await page.getByText("Why").waitFor();
  await look("dead letter");
  await page.goto(`${lab.url}/page/dead-letters`);
  await lookAt("replay", "Replay all that match");
  await lookAt("purge", "Purge all that match");
  await page.goto(`${lab.url}/page/subscriptions/own`);
  for (const name of ["Test own", "Seek own", "Send again own", "Delete own"]) await lookAt(name, name);
  await page.goto(`${lab.url}/page/subscriptions/broken`);
  await lookAt("skip", "Skip and resume broken");
  await page.goto(lab.url);
  await page.getByLabel("Select all that are shown").check();
  await look("some selected");
  await lookAt("bulk", /^Pause$/);
  await page.goto(`${lab.url}/webhook/page/subscriptions/own/edit`);
  await page.getByRole("button", { name: "Test before saving" }).waitFor();
  await unfold();
  await lookAt("signing key", "Make a signing key");
  await page.getByLabel("Callback URL").fill("ftp://nowhere");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator('[aria-invalid="true"]').first().waitFor();
  await look("faults in a form");
  await page.getByLabel("Callback URL").fill(configuration.callbackUrl);
  await lookAt("test before saving", "Test before saving");
  await page.goto(lab.url);
  await page.locator("[data-subscription]").first().waitFor();
  lab.relay.signal("SIGKILL");
  await page.getByText("no answer", { exact: true }).waitFor();
  await look("stale");
  expect(found).toEqual([]);
  expect(lab.browser.faults).toEqual([]);
}, 240_000);

test("no view scrolls sideways on a screen of 390 or 320 pixels, with its rows in it", async () => {
  await using lab = await openPageLab({ respond: () => ({ status: 422, body: "x".repeat(500) }) });
  await lab.publish("shipping", `{"line":"${"x".repeat(500)}"}`);
  await lab.relay.logged("Message dead-lettered");
  await eventually(async () => {
    const answer = await fetch(`${lab.url}/api/deliveries`);
    return ((await answer.json()) as { items: unknown[] }).items.length === 1;
  });
  const seen: unknown[] = [];
  const page = await lab.browser.open(lab.url, PHONE);
  for (const path of VIEWS) {
    await page.goto(lab.url + path);
    await page.locator("#view:not([aria-busy])").waitFor();
    await page.locator("#view > *").first().waitFor();
    for (const width of [390, 320]) {
      await page.setViewportSize({ width, height: 844 });
      seen.push([path, width, await page.evaluate("document.documentElement.scrollWidth")]);
    }
  }
  expect(seen).toEqual(VIEWS.flatMap((path) => [390, 320].map((width) => [path, width, width])));
  expect(lab.browser.faults).toEqual([]);
}, 240_000);

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
}, 240_000);

test("by keyboard alone: to a dead letter, into its panel, out again to where one was", async () => {
  await using lab = await openPageLab({ respond: () => 422 });
  await lab.publish("shipping", '{"order":1}');
  await lab.relay.logged("Message dead-lettered");
  const page = await lab.browser.open(`${lab.url}/page/dead-letters`);
  const open = page.locator("tbody").getByRole("link", { name: "orders.shipping" });
  await open.waitFor();
  await page.keyboard.press("Tab");
  expect(await page.evaluate("document.activeElement.textContent.trim()")).toBe("Skip to the content");
  const focused = () => page.evaluate("document.activeElement.textContent");
  for (let tabs = 0; tabs < 40 && (await focused()) !== "orders.shipping"; tabs += 1) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  const panel = page.getByRole("dialog", { name: "Dead letter" });
  await panel.getByText('"order": 1').waitFor();
  expect(await page.evaluate('document.activeElement.closest("dialog") !== null')).toBe(true);
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
  expect(await focused()).toBe("orders.shipping");
  expect(lab.browser.faults).toEqual([]);
}, 240_000);

test("a relay that goes away is said at once, and what was shown stays, in grey", async () => {
  await using lab = await openPageLab();
  const page = await lab.browser.open(lab.url);
  await page.getByText("ready", { exact: true }).waitFor();
  await page.locator(".row").nth(2).waitFor();
  lab.relay.signal("SIGKILL");
  await page.getByText("no answer", { exact: true }).waitFor();
  await page
    .getByRole("alert")
    .getByText(/^Relay does not answer since .+ UTC/)
    .waitFor();
  expect(await page.locator(".row").count()).toBe(3);
  expect(await page.evaluate('getComputedStyle(document.querySelector("#view")).filter')).toBe(
    "grayscale(1)",
  );
}, 240_000);
