// The overview in a real browser: what a person sees of subscriptions with messages flowing, and what it can do to them.

import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { openPageLab } from "./page-lab.ts";

test("the overview shows who fails first, and why; pause, resume, stop, start and test work", async () => {
  await using lab = await openPageLab();
  lab.flow(["billing", "shipping"]);
  await lab.publish("broken", '{"order":1}');
  const page = await lab.browser.open(lab.url);
  const row = (id: string) => page.locator(`[data-subscription="${id}"]`);
  const rows = page.locator("[data-subscription]");

  await page.getByText("failed", { exact: true }).waitFor();
  await eventually(async () => (await rows.first().getAttribute("data-subscription")) === "broken");
  expect(await row("broken").locator(".cause").textContent()).toContain("Callback answered 500");
  await eventually(async () =>
    /^[1-9][\d.]*\/s$/.test(await row("billing").locator("dd").first().innerText()),
  );
  expect(await row("billing").locator("dd").last().innerText()).toBe("100 %");
  const share = Number((await row("shipping").locator("dd").last().innerText()).split(" ")[0]);
  expect(share).toBeLessThan(100);
  expect(await row("shipping").locator(".bars.bad").getAttribute("d")).toContain("M");

  await row("billing").getByRole("button", { name: "Pause" }).click();
  await row("billing").getByText("paused", { exact: true }).waitFor();
  const before = lab.receiver.requests.filter(({ path }) => path.endsWith("/billing")).length;
  await eventually(async () => Number(await row("billing").locator("dd").nth(1).innerText()) >= 0);
  await row("billing").getByRole("button", { name: "Resume" }).click();
  await row("billing").getByText("running", { exact: true }).waitFor();
  await eventually(
    () => lab.receiver.requests.filter(({ path }) => path.endsWith("/billing")).length > before + 5,
  );

  await row("shipping").getByRole("button", { name: "Stop" }).click();
  await row("shipping").getByText("stopped", { exact: true }).waitFor();
  await row("shipping").getByRole("button", { name: "Start" }).click();
  await row("shipping").getByText("running", { exact: true }).waitFor();

  await row("billing").getByRole("button", { name: "Test" }).click();
  const panel = page.getByRole("dialog", { name: "Test of billing" });
  await panel.getByText("200", { exact: true }).waitFor();
  expect(await panel.locator(".payload").innerText()).toBe('{\n  "ok": true\n}');
  expect(lab.receiver.requests.some(({ headers }) => headers.some(([name]) => name === "X-Relay-Test"))).toBe(
    true,
  );
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("the overview keeps the focus while it is brought up to date, and finds a subscription by its callback", async () => {
  await using lab = await openPageLab();
  lab.flow(["billing"]);
  const page = await lab.browser.open(lab.url);
  const stop = page.getByRole("button", { name: "Stop shipping" });
  const focused = () => page.evaluate('document.activeElement.getAttribute("aria-label")');
  await stop.focus();
  // It moves: what waits for a retry comes first.
  await lab.publish("broken", "{}");
  await page.getByText("failed", { exact: true }).waitFor();
  await page.waitForResponse((response) => response.url().includes("/api/activity"));
  expect(await focused()).toBe("Stop shipping");
  await page.keyboard.press("Enter");
  await eventually(async () => (await focused()) === "Start shipping");
  await page.keyboard.press("Enter");
  await eventually(async () => (await focused()) === "Stop shipping");
  await page.getByRole("searchbox").fill("hooks/ship");
  await page.locator('[data-subscription="billing"]').waitFor({ state: "detached" });
  expect(await page.locator("[data-subscription]").count()).toBe(1);
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("the overview moves nothing under the mouse, and puts who fails first when it has left", async () => {
  await using lab = await openPageLab();
  const page = await lab.browser.open(lab.url);
  const first = page.locator("[data-subscription]").first();
  await first.hover();
  expect(await first.getAttribute("data-subscription")).toBe("billing");
  await lab.publish("broken", "{}");
  await page.getByText("failed", { exact: true }).waitFor();
  expect(await first.getAttribute("data-subscription")).toBe("billing");
  await page.mouse.move(0, 0);
  await eventually(async () => (await first.getAttribute("data-subscription")) === "broken");
  expect(lab.browser.faults).toEqual([]);
}, 120_000);
