// Subscriptions in a real browser: made, edited, tested, moved, acted on together, deleted; by operators and by consumers.

import { expect, test } from "bun:test";
import { createKey, signToken, startAuthority } from "../http/authority.ts";
import { eventually } from "../support/eventually.ts";
import { findingsOf } from "./axe.ts";
import { openPageLab } from "./page-lab.ts";

/** Subscriptions made by API may call this host, and hold secrets. */
const OPEN = {
  state: { key: Buffer.alloc(32, 7).toString("base64") },
  callbacks: { allow: ["127.0.0.0/8"] },
};

test("an operator makes a subscription with a signing key, edits it, seeks, sends a message again, and deletes it", async () => {
  await using lab = await openPageLab({ more: OPEN });
  await lab.publish("audit", '{"order":1}');
  const page = await lab.browser.open(lab.url);
  await page.getByRole("link", { name: "New subscription" }).click();
  await page.getByLabel("Callback URL").fill("ftp://nowhere");
  await page.getByLabel("Id", { exact: true }).fill("audit");
  await page.getByRole("button", { name: "Make it" }).click();
  // Each fault stands beside its field, and the first has the focus.
  await page.getByText("missing", { exact: false }).first().waitFor();
  await page.getByLabel("Entrypoint", { exact: true }).selectOption("webhook");
  await page.getByRole("button", { name: "Make it" }).click();
  const url = page.getByLabel("Callback URL");
  await eventually(async () => (await url.getAttribute("aria-invalid")) === "true");
  const told = page.locator(`#${await url.getAttribute("aria-errormessage")}`);
  expect(await told.innerText()).toContain("http");

  // A test before saving has the same faults, and then shows the request before it sends it.
  await url.fill("http://10.0.0.1/");
  await page.getByRole("button", { name: "Test before saving" }).click();
  await eventually(async () => (await told.innerText()).includes("the address 10.0.0.1 is denied"));
  await url.fill(new URL("/hooks/audit", lab.receiver.url).href);
  await page.getByRole("button", { name: "Test before saving" }).click();
  const tested = page.getByRole("dialog", { name: "Test before saving" });
  await tested.getByText("Nothing was sent. This is the request").waitFor();
  expect(lab.receiver.requests).toEqual([]);
  expect(await url.getAttribute("aria-invalid")).toBeNull();
  await tested.getByLabel("Message", { exact: true }).fill("a text");
  await tested.getByRole("button", { name: "Send test request" }).click();
  await tested.getByText("200", { exact: true }).waitFor();
  expect(lab.receiver.requests.map(({ body }) => body.toString())).toEqual(["a text"]);
  await page.keyboard.press("Escape");
  await tested.waitFor({ state: "detached" });

  await page.locator('[data-key="deliverPolicy"] summary').click();
  await page.locator('[data-key="deliverPolicy"] select').first().selectOption({ label: "all" });
  await page.getByRole("button", { name: "Edit as JSON" }).click();
  const json = page.getByLabel("Definition as JSON");
  expect(JSON.parse(await json.inputValue())).toMatchObject({
    id: "audit",
    configuration: { deliverPolicy: "all" },
  });
  await json.fill(
    (await json.inputValue()).replace('"entrypointId"', '"channel": "orders.audit",\n    "entrypointId"'),
  );
  await page.getByRole("button", { name: "Edit as JSON" }).click();
  await page.locator('[data-key="signature"] summary').click();
  await page.getByRole("button", { name: "Make a signing key" }).click();
  const shown = await page.getByRole("dialog", { name: "Your signing key" }).locator(".payload").innerText();
  expect(shown).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Make it" }).click();

  await page.waitForURL(`${lab.url}/page/subscriptions/audit`);
  await page.getByText("running", { exact: true }).waitFor();
  await eventually(() => lab.receiver.requests.length === 2);
  const sent = lab.receiver.requests.find(({ path }) => path === "/hooks/audit");
  const last = lab.receiver.requests.findLast(({ path }) => path === "/hooks/audit");
  expect(sent?.path).toBe("/hooks/audit");
  expect(last?.headers.map(([name]) => name.toLowerCase())).toContain("webhook-signature");
  expect(await page.content()).not.toContain(shown);

  await page.locator("tbody .message a").first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  const question = page.getByRole("dialog", { name: "Send again" });
  await question.getByText("1 message is sent once more").waitFor();
  await question.getByRole("button", { name: "Send again" }).click();
  await page.waitForURL(/\/page\/replays\//);
  await page.getByText("1 delivered").waitFor();

  await page.goto(`${lab.url}/page/subscriptions/audit`);
  await page.getByRole("button", { name: "Seek audit" }).click();
  const move = page.getByRole("dialog", { name: "Seek audit" });
  await move.getByText(/^About 1 message is sent again/).waitFor();
  await move.getByRole("button", { name: "Move it there" }).click();
  await eventually(() => lab.receiver.requests.filter(({ path }) => path === "/hooks/audit").length === 4);

  await page.getByRole("link", { name: "Edit", exact: true }).click();
  expect(await page.getByLabel("Callback URL").inputValue()).toContain("/hooks/audit");
  await page.locator('[data-key="signature"]').getByPlaceholder("stored: enter it again").fill(shown);
  await page.getByLabel("Callback URL").fill(new URL("/hooks/moved", lab.receiver.url).href);
  await page.getByRole("button", { name: "Save" }).click();
  await page.waitForURL(`${lab.url}/page/subscriptions/audit`);
  await page.getByText("/hooks/moved").first().waitFor();

  await page.getByRole("button", { name: "Delete audit" }).click();
  await page.getByRole("dialog").getByText("Its position in the stream is deleted with it").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await page.waitForURL(`${lab.url}/`);
  await page.locator('[data-subscription="billing"]').waitFor();
  expect(await page.locator('[data-subscription="audit"]').count()).toBe(0);
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("a relay of a fleet lists the hosts, and shows each; a dry run shows the request and sends nothing", async () => {
  await using lab = await openPageLab({ more: { fleet: { enabled: true }, host: { name: "edge-7" } } });
  const page = await lab.browser.open(lab.url);
  await page.getByRole("link", { name: "Hosts" }).click();
  await page.getByRole("link", { name: "edge-7" }).click();
  await page.getByText("You see edge-7, through the relay of this address.").waitFor();
  await page.getByRole("link", { name: "billing", exact: true }).click();
  expect(new URL(page.url()).pathname).toBe("/page/hosts/edge-7/page/subscriptions/billing");
  await page.getByRole("button", { name: "Test billing" }).click();
  const panel = page.getByRole("dialog");
  await panel.getByText("200", { exact: true }).waitFor();
  await panel.getByLabel("Message, JSON").fill('{"amount":101}');
  await panel.getByRole("button", { name: "Show request, send nothing" }).click();
  await panel.getByText("Nothing was sent. This is the request").waitFor();
  expect(lab.receiver.requests).toHaveLength(1);
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("many subscriptions have one line each, are found by address, and paused and resumed together", async () => {
  const names = Array.from({ length: 12 }, (_, index) => `number-${index}`);
  await using lab = await openPageLab({ names });
  const page = await lab.browser.open(`${lab.url}/?find=number-1`);
  const rows = page.locator("[data-subscription]");
  await rows.first().waitFor();
  expect(await rows.count()).toBe(3);
  const heights = await page.evaluate<number[]>(
    "[...document.querySelectorAll('[data-subscription]')].map((row) => row.getBoundingClientRect().height)",
  );
  expect(Math.max(...heights)).toBeLessThan(40);
  await page.getByLabel("Select all that are shown").check();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  const question = page.getByRole("dialog", { name: "Pause 3 subscriptions" });
  await question.getByText("number-1, number-10, number-11").waitFor();
  await question.getByRole("button", { name: "Pause" }).click();
  await page.getByText("3 subscriptions paused").waitFor();
  await page.getByRole("searchbox").fill("");
  await page.getByRole("button", { name: "3 not running" }).click();
  await eventually(async () => (await rows.count()) === 3);
  expect(new URL(page.url()).search).toBe("?state=idle");
  await page.reload();
  await eventually(async () => (await rows.count()) === 3);
  await page.getByLabel("Select number-10").check();
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.getByText("1 subscription resumed").waitFor();
  await eventually(async () => (await rows.count()) === 2);
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("consumers have a page of their own: they sign in, make, test and delete subscriptions, and see nothing of others", async () => {
  const key = await createKey("ES256");
  await using authority = await startAuthority(key);
  const { issuer, audience } = authority.settings;
  const auth = { type: "jwt", jwksUri: new URL("/keys", authority.server.url).href, issuer, audience };
  let isRepaired = false;
  await using lab = await openPageLab({
    more: { ...OPEN, server: { listen: "127.0.0.1:0", auth } },
    respond: ({ body }) => (body.toString() === "odd" && !isRepaired ? 422 : 200),
  });
  await lab.publish("shipping", "{}");
  const page = await lab.browser.open(`${lab.url}/webhook/page/deliveries?status=4xx`);
  await page.getByLabel("Token").waitFor();
  for (const hidden of ["billing", "shop", "Logging", "v0."])
    expect(await page.content()).not.toContain(hidden);
  await page.getByLabel("Token").fill(await signToken(key, { scope: "relay:subscribe", sub: "shop" }));
  await page.keyboard.press("Enter");
  // Signing in leads to where one wanted to go.
  await page.getByText("Nothing is recorded that matches.").waitFor();
  expect(new URL(page.url()).search).toBe("?status=4xx");

  await page.getByRole("link", { name: "Overview" }).click();
  await page.locator('[data-subscription="billing"]').waitFor();
  expect(await page.locator('[data-subscription="shipping"]').count()).toBe(0);
  expect(await page.getByRole("button", { name: "Pause" }).count()).toBe(0);
  await page.getByRole("button", { name: "Stop billing" }).click();
  await page.getByText("stopped", { exact: true }).waitFor();
  await page.getByRole("link", { name: "New subscription" }).click();
  await page.getByLabel("Id", { exact: true }).fill("own");
  await page.getByLabel("Callback URL").fill(new URL("/hooks/own", lab.receiver.url).href);
  await page.getByRole("button", { name: "Make it" }).click();
  await page.waitForURL(`${lab.url}/webhook/page/subscriptions/own`);
  await page.getByRole("button", { name: "Test own" }).click();
  await page.getByRole("dialog").getByText("200", { exact: true }).waitFor();
  await page.keyboard.press("Escape");
  await lab.publish("own", "odd");
  await page.locator("tbody .message a").first().click();
  const delivery = page.getByRole("dialog", { name: "Delivery" });
  await delivery.getByText("Callback answered 422").first().waitFor();
  await delivery.getByRole("button", { name: "Send again" }).click();
  await page.getByRole("dialog", { name: "Send again" }).getByRole("button", { name: "Send again" }).click();
  await page.waitForURL(/\/webhook\/page\/replays\//);
  await page.getByText("1 failed again").waitFor();
  isRepaired = true;
  await page.getByRole("link", { name: "Dead letters" }).click();
  await page.locator("tbody .message a").first().waitFor();
  expect(await page.getByRole("button", { name: "Purge all that match" }).count()).toBe(0);
  await page.getByRole("button", { name: "Replay all that match" }).click();
  await page.getByText("1 dead letter is sent").waitFor();
  await page.getByRole("dialog", { name: "Replay" }).getByRole("button", { name: "Replay" }).click();
  await page.getByText("There is no dead letter that matches.").waitFor();
  await page.goto(`${lab.url}/webhook/page/subscriptions/own`);
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await page.locator('[data-key="metadata"] summary').click();
  await page.getByRole("button", { name: "Add to Metadata" }).click();
  await page.getByLabel("Name", { exact: true }).last().fill("team");
  await page.getByLabel("Value").last().fill("orders");
  // The session ends while the form is open: what was typed stays.
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Save" }).click();
  const again = page.getByRole("dialog", { name: "Sign in again" });
  await again.getByLabel("Token").fill(await signToken(key, { scope: "relay:subscribe", sub: "shop" }));
  await page.keyboard.press("Enter");
  await again.waitFor({ state: "detached" });
  await page.locator('[data-key="signature"] summary').click();
  await page.getByRole("button", { name: "Make a signing key" }).click();
  const signing = page.getByRole("dialog", { name: "Your signing key" });
  const shown = await signing.locator(".payload").innerText();
  await page.keyboard.press("Escape");
  await signing.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Metadata" }).waitFor();
  expect(await page.content()).not.toContain(shown);
  await page.getByRole("button", { name: "Delete own" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await page.waitForURL(`${lab.url}/webhook`);

  await page.goto(`${lab.url}/webhook/page/subscriptions/shipping`);
  await page.getByText("There is no such subscription").waitFor();
  await page.goto(`${lab.url}/webhook/nothing`);
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  expect(lab.browser.faults).toEqual([]);
}, 120_000);

test("a key that failed is parked, and others go on; an operator sees why, resumes it, or skips its message", async () => {
  let isRepaired = false;
  await using lab = await openPageLab({
    qos: "AT_LEAST_ONCE",
    names: ["keyed"],
    more: { host: { name: "edge-7" } },
    entrypoint: {
      ordering: { key: "header:Order", onFailure: "key" },
      resume: { strategy: "AUTO", initialDelaySeconds: 3600, maxDelaySeconds: 3600 },
    },
    respond: ({ body }) => (body.toString() !== "fine" && !isRepaired ? 500 : 200),
  });
  const send = (order: string, body: string) => lab.publish("keyed", body, { Order: order });
  for (const body of ["bad", "behind"]) await send("<b>7</b>", body);
  await send("8", "also bad");
  await send("9", "fine");
  const page = await lab.browser.open(lab.url);
  await page
    .getByText(/2 keys parked/u)
    .first()
    .waitFor();
  await page.getByRole("link", { name: "keyed", exact: true }).click();
  const table = page.getByRole("table", { name: "Parked keys" });
  const row = table.locator("tbody tr").filter({ hasText: "<b>7</b>" });
  await row.getByText("Callback answered 500").waitFor();
  await row.getByText(/^in (?:59 min|1 h)$/u).waitFor();
  await page.getByText(/^edge-7, since /u).waitFor();
  expect(await findingsOf(page, "parked keys")).toEqual([]);
  await eventually(() => lab.receiver.requests.some(({ body }) => body.toString() === "fine"));

  isRepaired = true;
  const question = page.getByRole("dialog");
  await table.getByRole("button", { name: "Skip and resume 8" }).click();
  await question.getByText("1 message is skipped").waitFor();
  await question.getByRole("button", { name: "Skip and resume" }).click();
  await eventually(async () => (await table.locator("tbody tr").count()) === 1);
  await row.getByRole("button", { name: "Resume", exact: false }).first().click();
  await question.getByText("1 message of the key follows").waitFor();
  await question.getByRole("button", { name: "Resume" }).click();
  await table.waitFor({ state: "hidden" });
  const bodies = lab.receiver.requests.map(({ body }) => body.toString());
  expect(bodies.slice(-2)).toEqual(["bad", "behind"]);
  expect(bodies.filter((body) => body === "also bad")).toHaveLength(1);
  expect(lab.browser.faults).toEqual([]);
}, 120_000);
