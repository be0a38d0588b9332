// Signing in, in a real browser: nothing is shown before, a wrong secret is said, and the way out is one click.

import { expect, test } from "bun:test";
import { createKey, signToken, startAuthority } from "../http/authority.ts";
import { openPageLab } from "./page-lab.ts";

const SECRET = "a-secret-of-the-operator";
const listen = { listen: "127.0.0.1:0" };

test("with a token: nothing is shown before, a wrong one is refused, the session outlives a reload, and can be ended", async () => {
  const auth = { type: "token", value: SECRET };
  await using lab = await openPageLab({ more: { server: { ...listen, auth } } });
  const page = await lab.browser.open(`${lab.url}/page/deliveries`);
  const token = page.getByLabel("Token");
  await token.waitFor();
  const text = await page.locator("body").innerText();
  for (const hidden of ["billing", "Overview", "Deliveries", "v0."]) expect(text).not.toContain(hidden);

  await token.fill("not the token");
  await page.keyboard.press("Enter");
  await page.getByText("The credentials are wrong").waitFor();
  await token.fill(SECRET);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Deliveries" }).waitFor();
  await page.goto(lab.url);
  await page.locator('[data-subscription="billing"]').waitFor();
  expect(await page.evaluate("document.cookie")).toBe("");
  expect(await page.content()).not.toContain(SECRET);

  await page.getByRole("button", { name: "Sign out" }).click();
  await token.waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("with a user name and a password, by keyboard alone", async () => {
  const auth = { type: "basic", username: "operator", password: SECRET };
  await using lab = await openPageLab({ more: { server: { ...listen, auth } } });
  const page = await lab.browser.open(lab.url);
  await page.getByLabel("User name").waitFor();
  await page.keyboard.type("operator");
  await page.keyboard.press("Tab");
  await page.keyboard.type(SECRET);
  await page.keyboard.press("Enter");
  await page.locator('[data-subscription="billing"]').waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("with a token that was pasted: what it may not do is off, and why is said", async () => {
  const key = await createKey("ES256");
  await using authority = await startAuthority(key);
  const { issuer, audience } = authority.settings;
  const auth = { type: "jwt", jwksUri: new URL("/keys", authority.server.url).href, issuer, audience };
  await using lab = await openPageLab({ more: { server: { ...listen, auth } } });
  const page = await lab.browser.open(lab.url);
  await page.getByText("paste one").waitFor();
  await page.getByLabel("Token").fill(await signToken(key, { scope: "relay:read" }));
  await page.keyboard.press("Enter");
  const missing = "Your token lacks the scope relay:write";
  await page.getByText(`${missing}: nothing can be changed with it.`).waitFor();
  for (const name of ["Pause billing", "Stop billing", "Test billing"]) {
    const button = page.getByRole("button", { name });
    await button.waitFor();
    expect([await button.isDisabled(), await button.getAttribute("title")]).toEqual([true, missing]);
  }
  await page.goto(`${lab.url}/page/dead-letters`);
  const purge = page.getByRole("button", { name: "Purge all that match" });
  await purge.waitFor();
  expect(await purge.isDisabled()).toBe(true);
  expect(await page.getByRole("button", { name: "Refresh" }).isDisabled()).toBe(false);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").fill(await signToken(key, { scope: "relay:subscribe", sub: "shop" }));
  await page.keyboard.press("Enter");
  await page.getByText("The token lacks the scope relay:read").waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);
