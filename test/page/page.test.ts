// What the server sends of the page: all of it from the binary, small, and with nothing that comes from elsewhere.

import { expect, test } from "bun:test";
import { createPage } from "#page/page.tsx";

const VIEWS = ["/", "/page/deliveries", "/page/dead-letters", "/page/logging"];
const FILES = ["/page/relay.js", "/page/relay.css", "/page/relay.svg"];
const MAX_BYTES = 100_000;

test.each(VIEWS)(
  "createPage() answers %s with a shell that holds nothing inline and nothing from elsewhere",
  async (path) => {
    const response = await createPage().request(path);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=UTF-8");
    expect(response.headers.get("content-security-policy")).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
        "frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    );
    expect(response.headers.get("cache-control")).toBe("no-store");
    const html = await response.text();
    expect(html).toStartWith("<!doctype html><html");
    expect(html).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]*\ssrc=)/);
    const referred = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, target]) => target ?? "");
    expect(new Set(referred)).toEqual(new Set([...VIEWS, ...FILES]));
  },
);

test("createPage() sends its files with an entity tag, and not again to who has them", async () => {
  for (const path of FILES) {
    const first = await createPage().request(path);
    const etag = first.headers.get("etag") ?? "";
    expect([path, first.status, first.headers.get("cache-control")]).toEqual([path, 200, "no-cache"]);
    const second = await createPage().request(path, { headers: { "if-none-match": etag } });
    expect([path, second.status, await second.text()]).toEqual([path, 304, ""]);
  }
});

test("createPage() is under 100 KB in all, and its script builds no markup from text", async () => {
  const texts = await Promise.all(
    [...VIEWS, ...FILES].map(async (path) => (await createPage().request(path)).text()),
  );
  expect(texts.reduce((total, text) => total + Buffer.byteLength(text), 0)).toBeLessThan(MAX_BYTES);
  expect(texts.join("")).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/);
});
