// The logging in a real browser: off by the file, switched on for a while, ended by hand.

import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { openPageLab } from "./page-lab.ts";

test("bodies are not captured, are after they were switched on for 15 minutes, and are not after that was ended", async () => {
  await using lab = await openPageLab({ entrypoint: { sampling: { type: "ALL" } } });
  const page = await lab.browser.open(`${lab.url}/page/logging`);
  const card = page.locator('[data-entrypoint="webhook"]');
  const look = await lab.browser.open(`${lab.url}/page/deliveries`);

  async function textOfNewest(count: number): Promise<string> {
    const open = look.locator("tbody tr .message").getByRole("link");
    await eventually(async () => {
      await look.getByRole("button", { name: "Refresh" }).click();
      return (await open.count()) === count;
    });
    await open.first().click();
    const panel = look.getByRole("dialog");
    await panel.getByRole("heading", { name: "Response body" }).waitFor();
    const text = await panel.innerText();
    await look.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    return text;
  }

  await card.getByText("no headers, no bodies; every message").waitFor();
  await lab.publish("billing", '{"order":1}');
  const before = await textOfNewest(1);
  expect(before.split("Not captured")).toHaveLength(5);
  expect(before).not.toContain('"order"');

  await card.getByLabel("Request body").check();
  await card.getByLabel("Response headers").check();
  expect(await card.getByLabel("For", { exact: true }).inputValue()).toBe("15");
  await card.getByRole("button", { name: "Switch" }).click();
  await card.getByText(/^until .*\d\d:\d\d:\d\d UTC$/).waitFor();
  await lab.publish("billing", '{"order":2}');
  const during = await textOfNewest(2);
  expect(during).toContain('"order": 2');
  expect(during).toContain("application/json");
  expect(during.split("Not captured")).toHaveLength(3);

  await card.getByRole("button", { name: "End it now" }).click();
  await card.locator(".badge").waitFor({ state: "detached" });
  await lab.publish("billing", '{"order":3}');
  expect(await textOfNewest(3)).not.toContain('"order"');

  await card.getByLabel("For", { exact: true }).selectOption({ label: "until deleted, on all relays" });
  await card.getByRole("button", { name: "Switch" }).click();
  await card.getByText("kept for all relays").waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);
