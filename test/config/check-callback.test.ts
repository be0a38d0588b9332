// Headers that would break the request, from whichever place of the config they come.

import { expect, test } from "bun:test";
import { faultsOf, withDelivery, withSettings } from "./parse-for-test.ts";

const D = "subscriptions[0].configuration";
const VALUE_FAULT = "allowed: Latin-1 characters without line breaks and other control characters";

const UNUSABLE = "allowed: a URL with a host, a port up to 65535, and without blanks";

const BREAKING = ["a\r\nX-Evil: b", "a\nb", "a\rb", "a\0b", "a\u007fb", "\u20ac"];

test.each(BREAKING)(
  "checkCallback() refuses a header value that would break the request: %j",
  async (value) => {
    expect(await faultsOf(withDelivery({ headers: [{ name: "X-A", value }] }))).toEqual([
      `${D}.headers[0].value: ${VALUE_FAULT}`,
    ]);
    expect(await faultsOf(withSettings({ headers: [{ name: "X-A", value }] }))).toEqual([
      `entrypoints[0].configuration.headers[0].value: ${VALUE_FAULT}`,
    ]);
  },
);

test.each(BREAKING)(
  "checkCallback() refuses it from a secret too, and does not show it: %j",
  async (secret) => {
    const value = `hunter2hunter2${secret}`;
    const file = withDelivery({ headers: [{ name: "X-A", value: { env: "VALUE" } }] });
    expect(await faultsOf(file, { env: { VALUE: value } })).toEqual([
      `${D}.headers[0].value: ${VALUE_FAULT}`,
    ]);
  },
);

test.each(["X A", "", "X-A:", "X\r\nX-Evil", "X\0", "X-\u00e9", "(X)"])(
  "checkCallback() leaves no room for %j as the name of a header: the schema refuses it",
  async (name) => {
    const [fault = "", ...others] = await faultsOf(withDelivery({ headers: [{ name, value: "1" }] }));
    expect(fault).toStartWith(`${D}.headers[0].name: `);
    expect(fault).toEndWith("allowed: the name of an HTTP header");
    expect(others).toEqual([]);
  },
);

test.each(["caf\u00e9", "", "a\tb", "tab and space "])(
  "checkCallback() takes the header value %j",
  async (value) => {
    expect(await faultsOf(withDelivery({ headers: [{ name: "X-A", value }] }))).toEqual([]);
  },
);

test.each<[string, string]>([
  ["x:9000/", "allowed: a URL that begins with http:// or https://"],
  ["http://x:99999/", UNUSABLE],
  ["http://", UNUSABLE],
  ["https://x y/", UNUSABLE],
  ["http:///x", UNUSABLE],
  ["https:////x/y", UNUSABLE],
  ["http://\\x", UNUSABLE],
  ["http://?x", UNUSABLE],
  ["http://#x", UNUSABLE],
  ["http://:80/", UNUSABLE],
  ["http://x:0/", "found the port 0, allowed: 1 to 65535"],
  ["https://[::1]:00", "found the port 0, allowed: 1 to 65535"],
  ["http://x/\n", UNUSABLE],
])("checkCallback() says what is wrong with the URL %j", async (callbackUrl, fault) => {
  expect(await faultsOf(withDelivery({ callbackUrl }))).toEqual([`${D}.callbackUrl: ${fault}`]);
});
