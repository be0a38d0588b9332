// Makes the pictures beside the tests: `bun test/browser/pictures.ts [NAME …]`, after a build. Look at each before it is kept.

import type { Page } from "playwright-core";
import { DESKTOP, PHONE } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { openPageLab, type PageLab } from "./page-lab.ts";

const chosen = Bun.argv.slice(2);
const folder = process.env["PICTURES"] ?? new URL(".", import.meta.url).pathname;

async function shoot(page: Page, name: string): Promise<void> {
  await page.locator("#view:not([aria-busy])").waitFor();
  await page.mouse.move(0, 0);
  await page.screenshot({ path: `${folder}/${name}.png` });
  await page.context().close();
}

interface Picture {
  readonly name: string;
  readonly path: string;
  readonly scheme?: "light" | "dark";
  readonly isPhone?: boolean;
  readonly act?: (page: Page) => Promise<void>;
}

async function take(
  lab: PageLab,
  { name, path, scheme = "light", isPhone = false, act }: Picture,
): Promise<void> {
  if (chosen.length > 0 && !chosen.includes(name)) return;
  const page = await lab.browser.open(lab.url + path, {
    ...(isPhone ? PHONE : DESKTOP),
    colorScheme: scheme,
    reducedMotion: "reduce",
  });
  await page.locator("#view:not([aria-busy])").waitFor();
  await page.waitForTimeout(600);
  await act?.(page);
  await shoot(page, name);
}

async function settle(lab: PageLab, names: readonly string[]): Promise<void> {
  lab.flow(names);
  for (let order = 1; order <= 6; order += 1) await lab.publish("shipping", JSON.stringify({ order }));
  await eventually(() => lab.receiver.requests.length > 120, { withinMs: 60_000 });
}

async function takeFew(): Promise<void> {
  await using lab = await openPageLab();
  await settle(lab, ["billing", "shipping"]);
  await lab.publish("broken", '{"order":7}');
  await eventually(async () => {
    const answer = await fetch(`${lab.url}/api/status`);
    return ((await answer.json()) as { subscriptions: Record<string, number> }).subscriptions["failed"] === 1;
  });
  await take(lab, { name: "overview-few", path: "/" });
  await take(lab, { name: "overview-few-dark", path: "/", scheme: "dark" });
  await take(lab, { name: "overview-phone", path: "/", isPhone: true });
  await take(lab, { name: "subscription", path: "/page/subscriptions/broken" });
  await take(lab, { name: "subscription-dark", path: "/page/subscriptions/billing", scheme: "dark" });
  await take(lab, { name: "deliveries", path: "/page/deliveries" });
  await take(lab, { name: "dead-letters", path: "/page/dead-letters" });
  await take(lab, {
    name: "delivery",
    path: "/page/deliveries?subscription=broken",
    act: async (page) => {
      await page.locator("tbody tr a").first().click();
      await page.getByText("Request headers").waitFor();
    },
  });
  await take(lab, {
    name: "seek",
    path: "/page/subscriptions/billing",
    act: async (page) => {
      await page.getByRole("button", { name: "Seek billing" }).click();
      await page.waitForTimeout(300);
    },
  });
  await take(lab, { name: "form", path: "/page/new-subscription" });
  await take(lab, { name: "form-phone-dark", path: "/page/new-subscription", isPhone: true, scheme: "dark" });
  await take(lab, { name: "consumers", path: "/webhook" });
  await take(lab, { name: "replay", path: "/page/replays" });
  await take(lab, { name: "unknown", path: "/nothing" });
  await take(lab, { name: "logging", path: "/page/logging" });
}

async function takeMany(): Promise<void> {
  const names = [
    "billing",
    "shipping",
    "broken",
    "inventory",
    "search-index",
    "newsletter",
    "fraud-check",
    "invoices",
    "warehouse-eu",
    "warehouse-us",
    "loyalty",
    "audit",
  ];
  await using lab = await openPageLab({ names });
  await settle(lab, ["billing", "shipping", "inventory", "search-index", "invoices", "audit", "fraud-check"]);
  await lab.publish("broken", '{"order":7}');
  for (const id of ["loyalty", "newsletter"])
    await fetch(`${lab.url}/api/subscriptions/${id}/${id === "loyalty" ? "pause" : "stop"}`, {
      method: "POST",
    });
  await take(lab, { name: "overview-many", path: "/" });
  await take(lab, {
    name: "overview-many-dark",
    path: "/",
    scheme: "dark",
    act: async (page) => {
      await page.getByLabel("Select billing").check();
      await page.getByLabel("Select audit").check();
    },
  });
  await take(lab, { name: "overview-many-phone", path: "/", isPhone: true });
}

const isFew = chosen.length === 0 || chosen.some((name) => !name.includes("many"));
if (isFew) await takeFew();
if (chosen.length === 0 || chosen.some((name) => name.includes("many"))) await takeMany();
