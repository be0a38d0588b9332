// Secrets masked in whatever form they stand: and nothing else, so that a mask tells only of what it was made of.

import { randomBytes } from "node:crypto";
import { expect, test } from "bun:test";

import { createMask, holdsSecret } from "#lib/mask.ts";

const SECRET = "s3cret/value+1";
const ODD = `p"w\\n'&<ö> %41=\t?`;

const toBase64 = (text: string, shift = 0) => Buffer.from(" ".repeat(shift) + text).toString("base64");
const toHex = (text: string) => Buffer.from(text).toString("hex");
const toUnicode = (text: string) =>
  Array.from(
    { length: text.length },
    (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");
const toPercent = (text: string) =>
  [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
const toEntities = (text: string) =>
  Array.from(text)
    .map((sign) => `&#x${sign.codePointAt(0)?.toString(16)};`)
    .join("");
const toDecimals = (text: string) =>
  Array.from(text)
    .map((sign) => `&#${sign.codePointAt(0)};`)
    .join("");
const inPhp = (text: string) => JSON.stringify(text).slice(1, -1).replaceAll("/", "\\/");
const inHtml = (text: string) =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");

const FORMS: Readonly<Record<string, (text: string) => string>> = {
  "as it is": (text) => text,
  "as JSON": (text) => JSON.stringify(text).slice(1, -1),
  "as JSON of PHP": inPhp,
  "as JSON of ASCII": (text) => text.replaceAll(/[^\w ]/gu, toUnicode),
  "as JSON with capital digits": (text) =>
    text.replaceAll(/[^\w ]/gu, (sign) => toUnicode(sign).toUpperCase().replaceAll("\\U", "\\u")),
  "as JSON in JSON": (text) => JSON.stringify(JSON.stringify(text).slice(1, -1)).slice(1, -1),
  "as HTML": inHtml,
  "as HTML of hex": toEntities,
  "as HTML of decimals": toDecimals,
  "as HTML of names": (text) =>
    text.replaceAll("&", "&amp;").replaceAll("/", "&sol;").replaceAll("+", "&plus;"),
  "as a query": encodeURIComponent,
  "as a query in small letters": (text) =>
    encodeURIComponent(text).replaceAll(/%../g, (escape) => escape.toLowerCase()),
  "as a query, each byte": toPercent,
  "as a query in a query": (text) => encodeURIComponent(encodeURIComponent(text)),
  "as a form": (text) => new URLSearchParams([["", text]]).toString().slice(1),
  "as a strict query": (text) => encodeURIComponent(text).replaceAll("'", "%27"),
  "as hex": toHex,
  "as hex in capitals": (text) => toHex(text).toUpperCase(),
  "as hex in lines": (text) => (toHex(text).match(/.{1,10}/g) ?? []).join("\n"),
  "as a literal of bytes": (text) =>
    [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join(""),
  "as base64": toBase64,
  "as base64 behind one character": (text) => toBase64(text, 1),
  "as base64 behind two characters": (text) => toBase64(text, 2),
  "as base64 within more": (text) => toBase64(`user:${text}, and more`),
  "as base64 in lines": (text) => (toBase64(`  ${text}`).match(/.{1,7}/g) ?? []).join("\r\n"),
  "as base64 for URLs": (text) => Buffer.from(`>>>${text}???`).toString("base64url"),
  "as base64 in a query": (text) => encodeURIComponent(toBase64(text)),
  "as base64 in JSON of PHP": (text) => inPhp(toBase64(`???${text}`)),
  "as JSON in base64": (text) => toBase64(JSON.stringify({ text })),
  "as a query in base64": (text) => toBase64(`a=${encodeURIComponent(text)}`),
};

const inEachForm = Object.entries(FORMS).flatMap(([form, encode]) =>
  [SECRET, ODD].map((secret): [form: string, secret: string, text: string] => [form, secret, encode(secret)]),
);

test.each(inEachForm)("createMask() hides a secret %s: %j", (_form, secret, text) => {
  const masked = createMask(["another secret", secret])(`before (${text}) after`);
  // Around it stands what was around it: of base64 the rest, as long as it has no part of the secret.
  expect(masked).toStartWith("before (");
  expect(masked).toEndWith(") after");
  expect(masked).toContain("***");
  expect(masked).not.toContain(text);
  expect(holdsSecret(masked, [secret])).toBe(false);
});

test.each(inEachForm)("createMask() does not hide other texts %s: %j", (_form, _secret, text) => {
  expect(createMask(["not-this-secret", "nor+this/one"])(text, "cut")).toBe(text);
});

test.each([
  ["as it is", `token ${SECRET} was sent`, "token *** was sent"],
  ["each time", SECRET + SECRET, "******"],
  ["with the padding of base64", `Basic ${toBase64(SECRET)}`, "Basic ***"],
  ["with the bits of its base64 that a neighbour shares", toBase64(`u:${SECRET}!`), "dT***E="],
  ["in a header of Latin-1", "?v=%E4%F6%FC%DF%E4%F6%FC%DF", "?v=***"],
  ["but no short one", "a short text", "a short text"],
  ["the longest of two that begin alike", `${SECRET}-and-more`, "***"],
  ["two that overlap", "abcd1234efgh", "***"],
  ["beside what is no text", "\ud800 12345678 \u{1f600}", "\ufffd *** \u{1f600}"],
])("createMask() masks a secret %s", (_, text, expected) => {
  const secrets = [SECRET, "short", `${SECRET}-and-more`, "abcd1234", "1234efgh", "12345678", "äöüßäöüß"];
  expect(createMask(secrets)(text)).toBe(expected);
});

test("createMask() without secrets changes nothing", () => {
  expect(createMask([])("nothing to hide")).toBe("nothing to hide");
});

test("createMask() hides only its own secrets", () => {
  const [own, other] = [createMask(["secret-of-one"]), createMask(["secret-of-another"])];
  expect(own("secret-of-one secret-of-another")).toBe("*** secret-of-another");
  expect(other("secret-of-one secret-of-another")).toBe("secret-of-one ***");
});

const LONG = "s3cret/value+1-and-more";

test.each([
  ["its first characters", "token s3cret/v", "token ***"],
  ["its first one", "token s", "token ***"],
  ["all but its last", "token s3cret/value+1-and-mor", "token ***"],
  ["all of it", `token ${LONG}`, "token ***"],
  ["its beginning in base64", `x ${toBase64(LONG).slice(0, 20)}`, "x ***"],
  ["its beginning in base64 within more", `x ${toBase64(`user:${LONG}`).slice(0, 14)}`, "x dXNlcj***"],
  ["its beginning in hex", `x ${toHex(LONG).slice(0, 11)}`, "x ***"],
  ["its beginning in a query", `x=${encodeURIComponent(LONG).slice(0, 20)}`, "x=***"],
  ["an escape that was cut too", "x=s3cret%2", "x=***"],
  ["one of JSON", String.raw`{"a":"s3cret\u00`, `{"a":"***`],
  ["one of HTML", "s3cret&#x2", "***"],
  ["a beginning of it after another one", "s3cret/vs3cret/v", "s3cret/v***"],
  ["but not what goes on otherwise", "token s3cret/v.", "token s3cret/v."],
  ["but nothing of no text", "", ""],
])("createMask() masks at the end of a text that was cut %s", (_, text, expected) => {
  expect(createMask(["12345678", LONG])(text, "cut")).toBe(expected);
});

test("createMask() does not hide the beginning of a secret at the end of a whole text", () => {
  expect(createMask([LONG])("token s3cret/v")).toBe("token s3cret/v");
});

test.each([
  ["400 tokens of 800 characters", 400, 400],
  ["7,000 short ones", 7000, 5],
])("createMask() takes %s", (_, count, bytes) => {
  const secrets = Array.from({ length: count }, () => randomBytes(bytes).toString("hex"));
  const last = secrets.at(-1) ?? "";
  expect(createMask(secrets)(`a ${last} and ${toBase64(last)}`)).toBe("a *** and ***");
});

/** What is hard to read: each a way in which 64 KiB may hold as many escapes as there can be. */
test.each([
  ["base64", toBase64(randomBytes(49_152).toString("latin1")).slice(0, 65_536)],
  ["hex", randomBytes(32_768).toString("hex")],
  ["backslashes", "\\".repeat(65_536)],
  ["percent signs", "%25".repeat(21_845)],
  ["entities", "&amp;".repeat(13_107)],
  ["beginnings", "A".repeat(65_536)],
])("createMask() masks an answer of %s in bounded time", (_, text) => {
  const secrets = Array.from({ length: 200 }, () => randomBytes(20).toString("hex"));
  const mask = createMask([...secrets, "AAAAAAAA", `${"A".repeat(20_000)}B`]);
  mask(text, "cut");
  const before = process.cpuUsage();
  mask(text, "cut");
  // It takes some 20 ms; what grew with the square of it would take minutes.
  expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
});

test.each([
  ["a short one", "the secret is abc", ["abc"], true],
  ["one in base64", `x ${toBase64(SECRET)}`, [SECRET], true],
  ["none", "nothing", [SECRET, ""], false],
])("holdsSecret() tells of %s", (_, text, secrets, expected) => {
  expect(holdsSecret(text, secrets)).toBe(expected);
});
