// The dead letters in a real browser: found, looked at, replayed, purged; what is in them is only ever text.

import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { openPageLab } from "./page-lab.ts";

const MARKUP = `<img src=x onerror="document.title='taken over'"><script>document.title='taken over'</script>`;

test("dead letters are listed, filtered, shown whole, replayed one by one and all together, and purged", async () => {
  let isRepaired = false;
  await using lab = await openPageLab({
    respond: ({ path }) => ({ status: !isRepaired && path.endsWith("/shipping") ? 422 : 200, body: "no" }),
  });
  for (let order = 1; order <= 6; order += 1) await lab.publish("shipping", JSON.stringify({ order }));
  await lab.publish("billing", "{}");
  const page = await lab.browser.open(`${lab.url}/page/dead-letters`);
  const rows = page.locator("tbody tr");
  await eventually(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    return (await rows.count()) === 6;
  });

  await page.getByLabel("Subscription", { exact: true }).fill("billing");
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await page.getByText("There is no dead letter that matches.").waitFor();
  expect(new URL(page.url()).search).toBe("?subscription=billing");
  await page.getByRole("button", { name: "Remove filter Subscription: billing" }).click();
  await eventually(async () => (await rows.count()) === 6);
  expect(new URL(page.url()).search).toBe("");

  await rows.last().getByRole("link").first().click();
  const panel = page.getByRole("dialog", { name: "Dead letter" });
  expect(await panel.locator(".payload").innerText()).toMatch(/^\{\n {2}"order": \d\n\}$/);
  expect(await panel.getByText("webhook-id").count()).toBe(1);
  isRepaired = true;
  await panel.getByRole("button", { name: "Send again" }).click();
  await page.getByRole("dialog", { name: "Replay" }).getByText("1 dead letter is sent").waitFor();
  await page.getByRole("dialog", { name: "Replay" }).getByRole("button", { name: "Replay" }).click();
  await page.getByText("1 delivered").first().waitFor();
  await eventually(async () => (await rows.count()) === 5);

  await rows.first().getByRole("link").first().click();
  await panel.getByRole("button", { name: "Purge this one" }).click();
  await page.getByRole("dialog", { name: "Purge" }).getByRole("button", { name: "Purge" }).click();
  await eventually(async () => (await rows.count()) === 4);

  await page.getByRole("button", { name: "Replay all that match" }).click();
  await page.getByText("4 dead letters are sent").waitFor();
  await page.getByRole("dialog", { name: "Replay" }).getByRole("button", { name: "Replay" }).click();
  await page.getByText("4 delivered").waitFor();
  await page.getByText("There is no dead letter that matches.").waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("purge of all that match deletes those, after it was asked", async () => {
  await using lab = await openPageLab({ respond: ({ path }) => (path.endsWith("/billing") ? 404 : 410) });
  for (let order = 1; order <= 3; order += 1) {
    await lab.publish("shipping", "{}");
    await lab.publish("billing", "{}");
  }
  const page = await lab.browser.open(`${lab.url}/page/dead-letters?status=404`);
  const rows = page.locator("tbody tr");
  await eventually(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    return (await rows.count()) === 3;
  });
  const question = page.getByRole("dialog", { name: "Purge" });
  await page.getByRole("button", { name: "Purge all that match" }).click();
  await question.getByText("3 dead letters are deleted").waitFor();
  await page.keyboard.press("Escape");
  await question.waitFor({ state: "detached" });
  expect(await rows.count()).toBe(3);
  await page.getByRole("button", { name: "Purge all that match" }).click();
  await question.getByRole("button", { name: "Purge" }).click();
  await page.getByText("There is no dead letter that matches.").waitFor();
  await page.getByRole("button", { name: "Remove filter Status: 404" }).click();
  await eventually(async () => (await rows.count()) === 3);
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("a replay under way shows how far it is, is paused, and goes on", async () => {
  const gate = Promise.withResolvers<void>();
  let isReplaying = false;
  await using lab = await openPageLab({
    async respond() {
      if (!isReplaying) return 422;
      await gate.promise;
      return 200;
    },
  });
  for (let order = 1; order <= 12; order += 1) await lab.publish("shipping", "{}");
  const page = await lab.browser.open(`${lab.url}/page/dead-letters`);
  await eventually(async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    return (await page.locator("tbody tr").count()) === 12;
  });
  isReplaying = true;
  await page.getByRole("button", { name: "Replay all that match" }).click();
  await page.getByRole("dialog", { name: "Replay" }).getByRole("button", { name: "Replay" }).click();
  const replay = page.locator(".replay");
  await replay.getByText("running", { exact: true }).waitFor();
  expect(await replay.getByRole("progressbar").getAttribute("max")).toBe("12");
  await replay.getByRole("button", { name: "Pause" }).click();
  await replay.getByText("paused", { exact: true }).waitFor();
  gate.resolve();
  await replay.getByRole("button", { name: "Resume" }).click();
  await replay.getByText("done", { exact: true }).waitFor();
  await replay.getByText("12 delivered").waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("what may have reached a callback under AT_MOST_ONCE is replayed only where that was chosen", async () => {
  let isRepaired = false;
  await using lab = await openPageLab({
    qos: "AT_MOST_ONCE",
    entrypoint: { interruptConsumptionOnServerError: false },
    respond: () => (isRepaired ? 200 : 500),
  });
  await lab.publish("billing", "{}");
  await lab.relay.logged("Message dead-lettered");
  isRepaired = true;
  const page = await lab.browser.open(`${lab.url}/page/dead-letters`);
  const question = page.getByRole("dialog", { name: "Replay" });
  await page.locator("tbody tr").waitFor();
  await page.getByRole("button", { name: "Replay all that match" }).click();
  await question.getByRole("button", { name: "Replay" }).click();
  await page.getByText("1 skipped: may have arrived (AT_MOST_ONCE)").waitFor();
  expect(lab.receiver.requests).toHaveLength(1);

  await page.getByRole("button", { name: "Replay all that match" }).click();
  await question.getByLabel("may arrive a second time").check();
  await question.getByRole("button", { name: "Replay" }).click();
  await eventually(() => lab.receiver.requests.length === 2);
  await page.getByText("There is no dead letter that matches.").waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test.each([
  ["markup", MARKUP, MARKUP],
  ["a line of 64 KiB", "x".repeat(65_536), "x".repeat(65_536)],
  ["invalid UTF-8", new Uint8Array([0x61, 0xff, 0xfe, 0x62]), "a\ufffd\ufffdb"],
  ["JSON with markup", JSON.stringify({ html: MARKUP }), MARKUP.replaceAll('"', '\\"')],
])(
  "a body of %s is shown as text",
  async (_name, body, shown) => {
    await using lab = await openPageLab({ respond: () => ({ status: 422, body: MARKUP }) });
    await lab.publish("shipping", body);
    const page = await lab.browser.open(`${lab.url}/page/dead-letters`);
    const open = page.locator("tbody tr .message").getByRole("link");
    await eventually(async () => {
      await page.getByRole("button", { name: "Refresh" }).click();
      return (await open.count()) === 1;
    });
    await open.click();
    expect(await page.getByRole("dialog").locator(".payload").textContent()).toContain(shown);
    expect(await page.title()).toBe("Dead letters · Relay");
    expect(await page.getByRole("dialog").locator("img, script").count()).toBe(0);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(lab.browser.faults).toEqual([]);
  },
  120_000,
);
