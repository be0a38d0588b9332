// The deliveries in a real browser: from the overview to the failing call in two clicks, filtered, followed, whole.

import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { openPageLab } from "./page-lab.ts";

test("two clicks lead from the overview to what a failing callback answered", async () => {
  await using lab = await openPageLab();
  lab.flow(["billing"]);
  await lab.publish("broken", '{"order":7,"total":12345678901234567890}');
  const page = await lab.browser.open(lab.url);
  const broken = page.locator('[data-subscription="broken"]');
  await broken.getByText("failed", { exact: true }).waitFor();

  await broken.getByRole("link", { name: "What failed" }).click();
  expect(new URL(page.url()).search).toBe("?status=5xx&subscription=broken");
  await page.locator(".table tbody tr").first().getByRole("link").first().click();

  const panel = page.getByRole("dialog", { name: "Delivery" });
  await panel.locator(".payload").getByText("the database is down").waitFor();
  const text = await panel.innerText();
  expect(text).toContain(new URL("/hooks/broken", lab.receiver.url).href);
  expect(text).toContain("POST");
  expect(await panel.locator(".facts .badge").innerText()).toBe("500");
  expect(await panel.locator(".attempts tbody tr").count()).toBe(2);
  expect(await panel.locator(".payload").first().innerText()).toBe(
    '{\n  "order": 7,\n  "total": 12345678901234567890\n}',
  );
  expect(await panel.locator(".headers").getByText("webhook-id").count()).toBe(1);
  await page.reload();
  await page.locator(".payload").getByText("the database is down").waitFor();
  expect(await page.getByRole("dialog").count()).toBe(0);
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("filters are chips kept in the address, and the way back undoes them", async () => {
  await using lab = await openPageLab();
  for (let order = 1; order <= 4; order += 1) await lab.publish("shipping", JSON.stringify({ order }));
  await lab.publish("billing", "{}");
  const page = await lab.browser.open(`${lab.url}/page/deliveries`);
  const rows = page.locator(".table tbody tr");
  await eventually(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    return (await rows.count()) === 5;
  });
  await page.getByLabel("Status").selectOption("4xx");
  await page.getByRole("button", { name: "Remove filter Status: 4xx" }).waitFor();
  await eventually(async () => (await rows.count()) > 0 && (await rows.count()) < 5);
  expect(new Set(await rows.locator("td:nth-child(2)").allInnerTexts())).toEqual(new Set(["422"]));
  expect(await rows.getByText("dead letter", { exact: true }).count()).toBe(await rows.count());
  expect(new URL(page.url()).search).toBe("?status=4xx");

  await page.getByLabel("Application").fill("shop");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing is recorded that matches.").waitFor();
  await page.goBack();
  await eventually(async () => (await rows.count()) > 0);
  expect(await page.locator(".chip").allInnerTexts()).toEqual(["Status: 4xx ×"]);

  await page.goto(`${lab.url}/page/deliveries?callbackUrl=hooks/billing&application=shop`);
  await eventually(async () => (await rows.count()) === 1);
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Export as CSV" }).click(),
  ]);
  const lines = (await Bun.file(await file.path()).text()).trimEnd().split("\r\n");
  expect([file.suggestedFilename(), lines.length]).toEqual(["deliveries.csv", 2]);
  expect(lines[1]).toContain(",billing,shop,");
  expect(await page.locator(".chip").count()).toBe(2);
  await page.goto(`${lab.url}/page/deliveries?status=0`);
  await page.getByText("Nothing is recorded that matches.").waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("an opened delivery has an address of its own, and Back closes it and keeps the list", async () => {
  await using lab = await openPageLab();
  await lab.publish("shipping", "{}");
  const page = await lab.browser.open(`${lab.url}/page/deliveries?status=4xx`);
  const rows = page.locator(".table tbody tr");
  await eventually(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    return (await rows.count()) === 1;
  });
  const dialog = page.getByRole("dialog");
  await rows.first().getByRole("link").first().click();
  await dialog.getByText("Request headers").waitFor();
  const address = page.url();
  expect(new URL(address).pathname).toMatch(/^\/page\/deliveries\/\d+$/);
  await page.goBack();
  await dialog.waitFor({ state: "detached" });
  expect([new URL(page.url()).search, await rows.count()]).toEqual(["?status=4xx", 1]);

  await page.goto("about:blank");
  await page.goto(address);
  await page.getByRole("heading", { name: "Request headers" }).waitFor();
  expect(await dialog.count()).toBe(0);
  await page.goBack();
  expect(page.url()).toBe("about:blank");
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("what is followed live comes by itself, newest first, and never fills more than 200 rows", async () => {
  await using lab = await openPageLab();
  const page = await lab.browser.open(`${lab.url}/page/deliveries?subscription=billing`);
  await page.getByText("Nothing is recorded that matches.").waitFor();
  await page.getByRole("button", { name: "Follow live" }).click();
  await lab.publish("shipping", "{}");
  for (let order = 1; order <= 260; order += 1) await lab.publish("billing", JSON.stringify({ order }));
  const rows = page.locator(".table tbody tr");
  await eventually(async () => (await rows.count()) === 200);
  await eventually(() => lab.receiver.requests.length === 261);
  await lab.publish("billing", '{"order":"last"}');
  await eventually(async () => {
    await rows.first().getByRole("link").first().click();
    await page.getByRole("dialog").locator(".payload").first().waitFor();
    const text = await page.getByRole("dialog").locator(".payload").first().innerText();
    await page.keyboard.press("Escape");
    return text.includes('"order": "last"');
  });
  expect([await rows.count(), await rows.getByText("shop").count()]).toEqual([200, 200]);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Following live" }).click();
  await lab.publish("billing", '{"order":261}');
  await eventually(() => lab.receiver.requests.some(({ body }) => body.toString() === '{"order":261}'));
  expect(await rows.count()).toBe(200);
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("a response of markup and bytes that are no text are shown as text, and copied as they came", async () => {
  const markup = `<script>document.title='taken over'</script>`;
  await using lab = await openPageLab({ respond: () => ({ status: 200, body: markup }) });
  await lab.publish("billing", new Uint8Array([0xff, 0x00, 0x3c, 0x62, 0x3e]));
  const page = await lab.browser.open(`${lab.url}/page/deliveries`);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const open = page.locator(".table .message").getByRole("link");
  await eventually(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    return (await open.count()) === 1;
  });
  await open.click();
  const panel = page.getByRole("dialog");
  await panel.getByText("no text: the bytes in base64").waitFor();
  expect(await panel.locator(".payload").allTextContents()).toEqual(["/wA8Yj4=", markup]);
  await panel.getByRole("button", { name: "Copy body" }).last().click();
  await panel.getByText("Copied").waitFor();
  expect(await page.evaluate("navigator.clipboard.readText()")).toBe(markup);
  expect(await page.title()).toBe("Deliveries · Relay");
  expect(lab.browser.faults).toEqual([]);
}, 120_000);
