// What the server sends of the page: all of it from the binary, small, and with nothing that comes from elsewhere.

import { expect, test } from "bun:test";
import { createPage, createUnknownPage } from "#page/page.tsx";

const LISTED = ["/", "/page/deliveries", "/page/dead-letters", "/page/replays", "/page/logging"];
const INNER = [
  "/page/new-subscription",
  "/page/subscriptions/billing",
  "/page/subscriptions/new/edit",
  "/page/deliveries/4711",
  "/page/dead-letters/a%2Fb",
  "/page/replays/3f2a91c0",
];
const FILES = ["/page/relay.js", "/page/relay.css", "/page/relay.svg"];
const SCHEMA = "/page/subscription.json";
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "frame-ancestors 'none'; form-action 'self'; base-uri 'none'";
/** Of the script, the style and the shells together, before they are compressed. */
const MAX_BYTES = 130_000;

const get = (path: string) => createPage(["/hooks/eu"]).request(path);

function referred(html: string): Set<string> {
  return new Set([...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, target]) => target ?? ""));
}

test.each([...LISTED, ...INNER])(
  "createPage() answers %s with a shell that holds nothing inline and nothing from elsewhere",
  async (path) => {
    const response = await get(path);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=UTF-8");
    expect(response.headers.get("content-security-policy")).toBe(POLICY);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const html = await response.text();
    expect(html).toStartWith("<!doctype html><html");
    expect(html).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]*\ssrc=)|4711|billing|3f2a/);
    expect(referred(html)).toEqual(new Set([...LISTED, "/page/hosts", ...FILES]));
  },
);

test("createPage() serves the consumers' page below a context path, with all its files and nothing of operators", async () => {
  const html = await (await get("/hooks/eu")).text();
  const own = ["/page/deliveries", "/page/dead-letters", "/page/replays", ...FILES].map(
    (path) => `/hooks/eu${path}`,
  );
  expect(referred(html)).toEqual(new Set(["/hooks/eu", ...own]));
  for (const path of own) expect([path, (await get(path)).status]).toEqual([path, 200]);
  expect((await get("/hooks/eu/page/logging")).status).toBe(404);
  expect((await get(`/hooks/eu${SCHEMA}`)).status).toBe(200);
});

test("createPage() leads an address with a slash at its end to the one without", async () => {
  for (const path of ["/hooks/eu", "/page/deliveries", "/hooks/eu/page/subscriptions/billing"]) {
    const { status, headers } = await get(`${path}/?status=4xx`);
    expect([status, headers.get("location")]).toEqual([308, `${path}?status=4xx`]);
  }
});

test("createPage() serves the page of another host below its name, and no name that is none", async () => {
  const html = await (await get("/page/hosts/edge-7/page/deliveries")).text();
  expect(html).toContain('data-base="/page/hosts/edge-7" data-host="edge-7"');
  expect(referred(html)).toContain("/page/hosts/edge-7/page/dead-letters");
  expect(referred(html)).toContain("/page/relay.js");
  expect((await get("/page/hosts/%22%3E%3Cscript%3E")).status).toBe(404);
});

test("createUnknownPage() is a page of status 404, under the same policy", async () => {
  const response = await createUnknownPage();
  expect([response.status, response.headers.get("content-security-policy")]).toEqual([404, POLICY]);
  expect(await response.text()).toContain("There is no such page");
});

test("createPage() sends its files with an entity tag, and not again to who has them", async () => {
  for (const path of [...FILES, SCHEMA]) {
    const first = await get(path);
    const etag = first.headers.get("etag") ?? "";
    expect([path, first.status, first.headers.get("cache-control")]).toEqual([path, 200, "no-cache"]);
    const second = await createPage([]).request(path, { headers: { "if-none-match": etag } });
    expect([path, second.status, await second.text()]).toEqual([path, 304, ""]);
  }
});

test(`createPage() is under ${MAX_BYTES} bytes in all, and its script builds no markup from text`, async () => {
  const texts = await Promise.all([...LISTED, ...FILES].map(async (path) => (await get(path)).text()));
  expect(texts.reduce((total, text) => total + Buffer.byteLength(text), 0)).toBeLessThan(MAX_BYTES);
  expect(texts.join("")).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/);
});
