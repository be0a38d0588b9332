// Which addresses callbacks may go to, as a table.

import { describe, expect, test } from "bun:test";

import { createAddressCheck } from "#delivery/address.ts";
import type { AddressRules } from "#delivery/callback.ts";

const NONE: AddressRules = { allow: [], deny: [], deniesPrivate: false };
const PRIVATE: AddressRules = { ...NONE, deniesPrivate: true };

const noneOwn = () => [];

const METADATA = [
  "169.254.169.254",
  "169.254.0.1",
  "fe80::1",
  "fe80::1%eth0",
  "fd00:ec2::254",
  "100.100.100.200",
  "168.63.129.16",
  "192.0.0.192",
];
const METADATA_WITHIN = [
  "::ffff:169.254.169.254",
  "::ffff:a9fe:a9fe",
  "0:0:0:0:0:ffff:169.254.169.254",
  "::169.254.169.254",
  "64:ff9b::169.254.169.254",
  "64:ff9b::6464:64c8",
  "64:ff9b:1::169.254.169.254",
  "64:ff9b:1:a9fe:a9:fe00::",
  "64:ff9b:1:a9:fe:a9fe::",
  "64:ff9b:1:0:a9:fea9:fe00:0",
  "2002:a9fe:a9fe::1",
  "2001:0:a9fe:a9fe::1",
  "2001:0:0808:0808:0:0:5601:5601",
];
const LOCAL = [
  "0.0.0.0",
  "0.1.2.3",
  "10.1.2.3",
  "100.64.0.1",
  "100.127.255.255",
  "127.0.0.1",
  "127.255.255.255",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "192.0.2.1",
  "198.18.0.1",
  "224.0.0.1",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "fc00::1",
  "fdff::1",
  "fec0::1",
  "ff02::1",
  "2001:db8::1",
  "::ffff:127.0.0.1",
  "::ffff:0.0.0.0",
  "64:ff9b::10.0.0.1",
  "2002:c0a8:0101::1",
  "192.88.99.1",
  "2001:2::1",
  "2001:10::1",
  "2001:1f:ffff::1",
  "2001:20::1",
  "2001:2f:ffff::1",
  "3fff::1",
  "3fff:fff:ffff::1",
  "5f00::1",
  "100::1",
  "100:0:0:1::1",
  // IPv4-translated, ISATAP behind public prefixes and others, Teredo's server and client.
  "::ffff:0:10.0.0.1",
  "::ffff:0:7f00:1",
  "2606:4700::5efe:10.0.0.1",
  "2606:4700::200:5efe:192.168.1.1",
  "2606:4700:1:2:0:5efe:7f00:1",
  "2002:0808:0808::200:5efe:10.0.0.1",
  "2001:0:0a00:0001::",
  "2001:0:0808:0808:0:0:f5ff:fffe",
  "64:ff9b:1::10.0.0.1",
  "64:ff9b:1:0a00:0:0100::",
  "64:ff9b:1::8.8.8.8",
];
const PUBLIC = [
  "8.8.8.8",
  "100.63.255.255",
  "100.128.0.1",
  "172.15.0.1",
  "172.32.0.1",
  "192.169.0.1",
  "223.255.255.255",
  "2606:4700::1111",
  "64:ff9b::8.8.8.8",
  "2002:0808:0808::1",
  "::ffff:8.8.8.8",
  "192.88.98.255",
  "2001:30::1",
  "4000::1",
  "5f01::1",
  "::ffff:0:8.8.8.8",
  "2606:4700::5efe:8.8.8.8",
  "2606:4700::100:5efe:10.0.0.1",
  "2001:0:0808:0808:0:0:f7f7:f7f7",
];

describe("createAddressCheck()", () => {
  test.each([...METADATA, ...METADATA_WITHIN])("createAddressCheck() denies %s by itself", (address) => {
    expect(createAddressCheck(NONE, noneOwn)(address)).toBe(false);
    expect(createAddressCheck(PRIVATE, noneOwn)(address)).toBe(false);
  });

  test.each(LOCAL)("createAddressCheck() denies %s where private ranges are denied, only", (address) => {
    expect(createAddressCheck(NONE, noneOwn)(address)).toBe(true);
    expect(createAddressCheck(PRIVATE, noneOwn)(address)).toBe(false);
  });

  test.each(PUBLIC)("createAddressCheck() allows %s", (address) => {
    expect(createAddressCheck(NONE, noneOwn)(address)).toBe(true);
    expect(createAddressCheck(PRIVATE, noneOwn)(address)).toBe(true);
  });

  test.each(["", "callback.test", "127.1", "0x7f000001", "2130706433", "10.0.0.0/8", "[::1]"])(
    "createAddressCheck() denies what is no address: '%s'",
    (text) => {
      expect(createAddressCheck({ ...NONE, allow: ["0.0.0.0/0", "::/0"] }, noneOwn)(text)).toBe(false);
    },
  );

  test.each<[string, Partial<AddressRules>, string, boolean]>([
    ["a denied range", { deny: ["10.0.0.0/8"] }, "10.1.2.3", false],
    ["a denied address", { deny: ["10.1.2.3"] }, "10.1.2.3", false],
    ["the neighbour of a denied address", { deny: ["10.1.2.3"] }, "10.1.2.4", true],
    ["an allowed range in a denied one", { deny: ["10.0.0.0/8"], allow: ["10.1.0.0/16"] }, "10.1.2.3", true],
    ["a denied range in an allowed one", { allow: ["10.0.0.0/8"], deny: ["10.1.0.0/16"] }, "10.1.2.3", false],
    ["a tie", { allow: ["10.0.0.0/8"], deny: ["10.0.0.0/8"] }, "10.1.2.3", false],
    [
      "the most specific of several",
      { allow: ["10.0.0.0/8", "10.1.2.0/24"], deny: ["10.1.0.0/16"] },
      "10.1.2.3",
      true,
    ],
    ["a range whose host bits are set", { deny: ["10.9.9.9/8"] }, "10.1.2.3", false],
    ["all but one range", { deny: ["0.0.0.0/0", "::/0"], allow: ["203.0.113.0/24"] }, "203.0.113.9", true],
    [
      "the rest of all but one range",
      { deny: ["0.0.0.0/0", "::/0"], allow: ["203.0.113.0/24"] },
      "8.8.8.8",
      false,
    ],
    ["allowed metadata", { allow: ["169.254.169.254"] }, "169.254.169.254", true],
    ["other metadata", { allow: ["169.254.169.254"] }, "169.254.169.253", false],
    ["allowed loopback", { deniesPrivate: true, allow: ["127.0.0.0/8"] }, "127.0.0.1", true],
    ["other private ranges", { deniesPrivate: true, allow: ["127.0.0.0/8"] }, "10.0.0.1", false],
    ["allowed IPv6 loopback", { deniesPrivate: true, allow: ["::1"] }, "::1", true],
    ["an allowed IPv6 range", { deniesPrivate: true, allow: ["fd12::/16"] }, "fd12::1", true],
    ["a denied IPv6 range", { deny: ["2001:4860::/32"] }, "2001:4860:4860::8888", false],
    ["an IPv4 range against IPv6", { deny: ["0.0.0.0/0"] }, "2606:4700::1111", true],
    ["a zone", { allow: ["fe80::/10"] }, "fe80::1%eth0", true],
    // An address that leads to another is judged as both.
    ["a denied IPv4 range, mapped", { deny: ["10.0.0.0/8"] }, "::ffff:10.1.2.3", false],
    ["a denied IPv4 range behind NAT64", { deny: ["10.0.0.0/8"] }, "64:ff9b::10.1.2.3", false],
    [
      "an allowed IPv4 range, mapped",
      { deniesPrivate: true, allow: ["10.0.0.0/8"] },
      "::ffff:10.1.2.3",
      true,
    ],
    [
      "an allowed IPv4 range behind NAT64",
      { deniesPrivate: true, allow: ["10.0.0.0/8"] },
      "64:ff9b::10.1.2.3",
      true,
    ],
    [
      "an allowed NAT64 range only",
      { deniesPrivate: true, allow: ["64:ff9b::/96"] },
      "64:ff9b::10.1.2.3",
      false,
    ],
    ["a denied NAT64 range", { deny: ["64:ff9b::/96"], allow: ["8.8.8.8"] }, "64:ff9b::8.8.8.8", false],
    ["a denied mapped range, as it is", { deny: ["::ffff:0:0/96"] }, "8.8.8.8", true],
  ])("createAddressCheck() decides about %s", (_what, rules, address, expected) => {
    expect(createAddressCheck({ ...NONE, ...rules }, noneOwn)(address)).toBe(expected);
  });

  test.each([
    ["203.0.114.7", true],
    ["::ffff:203.0.114.7", true],
    ["64:ff9b::203.0.114.7", true],
    ["2606:4700::5efe:203.0.114.7", true],
    ["2606:4700::77", true],
    ["2606:4700:0::0077", true],
    ["203.0.114.8", false],
    ["2606:4700::78", false],
  ])("createAddressCheck() finds in %s an address of this host: %s", (address, isOwn) => {
    const own = () => ["127.0.0.1", "203.0.114.7", "2606:4700::77", "fe80::1%eth0"];
    expect(createAddressCheck(PRIVATE, own)(address)).toBe(!isOwn);
    expect(createAddressCheck(NONE, own)(address)).toBe(true);
    const allow = ["203.0.114.0/24", "2606:4700::/32", "64:ff9b::/96"];
    expect(createAddressCheck({ ...PRIVATE, allow }, own)(address)).toBe(true);
  });

  test("createAddressCheck() asks for the addresses of this host each time", () => {
    const own = ["203.0.114.7"];
    const isAllowed = createAddressCheck(PRIVATE, () => own);
    expect(isAllowed("203.0.114.8")).toBe(true);
    own.push("203.0.114.8");
    expect(isAllowed("203.0.114.8")).toBe(false);
  });

  test("createAddressCheck() refuses a rule that is no range", () => {
    for (const text of ["", "10.0.0.0/33", "::/129", "10/8", "example.test", "10.0.0.0/-1"]) {
      expect(() => createAddressCheck({ ...NONE, deny: [text] }, noneOwn)).toThrow(text);
    }
  });

  test.each([
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://①②⑦.0.0.1/",
  ])("createAddressCheck() sees through %s, which is an address to a URL", (href) => {
    const { hostname } = new URL(href);
    expect(hostname).toBe("127.0.0.1");
    expect(createAddressCheck(PRIVATE, noneOwn)(hostname)).toBe(false);
  });
});
