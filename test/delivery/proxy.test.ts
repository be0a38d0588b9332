// Which proxy leads to a URL, as a table.

import { describe, expect, test } from "bun:test";

import type { Proxy } from "#delivery/callback.ts";
import { proxyFor } from "#delivery/proxy.ts";

function toProxy(host: string): Proxy {
  return { type: "http", host, port: 3128, username: null, password: null };
}

const http = toProxy("for-http.test");
const https = toProxy("for-https.test");

describe("proxyFor()", () => {
  test("proxyFor() chooses by the rule, and by the scheme for the system's", () => {
    const url = new URL("https://callback.test/");
    expect(proxyFor(url, { kind: "none" })).toBeNull();
    expect(proxyFor(url, { kind: "fixed", proxy: http })).toBe(http);
    expect(proxyFor(url, { kind: "system", http, https, noProxy: [] })).toBe(https);
    expect(proxyFor(new URL("http://callback.test/"), { kind: "system", http, https, noProxy: [] })).toBe(
      http,
    );
    expect(proxyFor(url, { kind: "system", http, https: null, noProxy: [] })).toBeNull();
  });

  test.each<[string, readonly string[]]>([
    ["http://callback.test/", ["callback.test"]],
    ["http://CALLBACK.test/", ["Callback.TEST"]],
    ["http://a.callback.test/", ["callback.test"]],
    ["http://a.b.callback.test/", [".callback.test"]],
    ["http://callback.test/", [".callback.test"]],
    ["http://a.callback.test/", ["*.callback.test"]],
    ["http://callback.test./", ["callback.test"]],
    ["http://callback.test/", ["callback.test."]],
    ["http://callback.test/", ["other.test", " callback.test "]],
    ["http://callback.test/", ["*"]],
    ["http://127.0.0.1/", ["*"]],
    ["http://callback.test/", ["callback.test:80"]],
    ["https://callback.test/", ["callback.test:443"]],
    ["https://callback.test:8443/", ["callback.test:8443"]],
    ["https://callback.test:8443/", ["callback.test"]],
    ["http://localhost/", ["localhost"]],
    ["http://127.0.0.1/", ["127.0.0.1"]],
    ["http://127.1/", ["127.0.0.1"]],
    ["http://127.0.0.1:8080/", ["127.0.0.1:8080"]],
    ["http://10.1.2.3/", ["10.0.0.0/8"]],
    ["http://[::1]/", ["::1"]],
    ["http://[::1]/", ["[::1]"]],
    ["http://[0:0::1]:8080/", ["[::1]:8080"]],
    ["http://[fd12::1]/", ["fd00::/8"]],
    ["http://[fd12::1]/", ["[fd00::]/8"]],
  ])("proxyFor() reaches %s directly where there is %p", (href, noProxy) => {
    expect(proxyFor(new URL(href), { kind: "system", http, https, noProxy })).toBeNull();
  });

  test.each<[string, readonly string[]]>([
    ["http://callback.test/", ["", ".", "*.", "other.test"]],
    ["http://notcallback.test/", ["callback.test", ".callback.test"]],
    ["http://callback.test/", ["a.callback.test"]],
    ["http://callback.test.evil.test/", ["callback.test"]],
    ["http://callback.test/", ["callback.test:8080"]],
    ["http://callback.test:8080/", ["callback.test:80"]],
    ["https://callback.test/", ["callback.test:80"]],
    ["http://localhost/", ["127.0.0.1", "127.0.0.0/8"]],
    ["http://127.0.0.1/", ["localhost", "0.0.1", ".0.0.1", "1"]],
    ["http://10.1.2.3/", ["11.0.0.0/8", "10.0.0.0/33", "10"]],
    ["http://[::1]/", ["::2", "[::1]:8080", "127.0.0.1"]],
    ["http://[::1]/", ["0.0.0.0/0"]],
  ])("proxyFor() reaches %s through the proxy in spite of %p", (href, noProxy) => {
    const url = new URL(href);
    const expected = url.protocol === "https:" ? https : http;
    expect(proxyFor(url, { kind: "system", http, https, noProxy })).toBe(expected);
  });

  test("proxyFor() goes by the list for the system's proxy only", () => {
    expect(proxyFor(new URL("http://callback.test/"), { kind: "fixed", proxy: http })).toBe(http);
  });
});
