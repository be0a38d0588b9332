// What a message becomes: selected or not, and the parts of its request, or what was invalid about them.

import { expect, test } from "bun:test";
import type { Message } from "#delivery/message.ts";
import { type ShapeSettings, UNSHAPED } from "#delivery/shape.ts";
import { createShaper } from "#shape/shaper.ts";
import { toMessage } from "../callback/setup.ts";

const ABOUT = { subscription: "billing", application: "shop", metadata: { team: "red" } };
const OPTIONS = { attempt: 2, signal: new AbortController().signal };
const bytes = (text: string) => new TextEncoder().encode(text);

function message(body: string, changes: Partial<Message> = {}): Message {
  return toMessage(body, { stream: "ORDERS", subject: "orders.eu.7", sequence: 9, ...changes });
}

async function shape(settings: Partial<ShapeSettings>, sent: Message) {
  const shaping = await createShaper({ ...UNSHAPED, ...settings }, ABOUT).shape?.(sent, OPTIONS);
  if (shaping?.kind === "failed") return shaping.error;
  if (shaping?.kind !== "shaped") throw new Error("It is not shaped");
  const { body, ...parts } = shaping.parts;
  return { ...parts, body: new TextDecoder().decode(body), bytes: body };
}

test("createShaper() without settings has nothing to do", () => {
  expect(createShaper(UNSHAPED, ABOUT)).toEqual({ select: null, shape: null });
});

test.each<[string, string, string]>([
  ["body.amount > 100", '{"amount":101}', "selected"],
  ["body.amount > 100", '{"amount":100}', "filtered"],
  ["body.amount > 100", "no JSON", "filtered"],
  ["body.amount", '{"amount":1}', "filtered"],
  ["'true'", "{}", "filtered"],
  ["body.missing", "{}", "filtered"],
  ["body.amount > 100", '{"amount":"101"}', "failed"],
  ["tokens[1] = 'eu' and sequence = 9 and stream = 'ORDERS' and subject = 'orders.eu.7'", "", "selected"],
  [
    "subscription = 'billing' and application = 'shop' and metadata.team = 'red' and attempt = 2",
    "",
    "selected",
  ],
  ["headers.`x-tenant` = 'a, b' and $not($exists(body)) and text = 'plain'", "plain", "selected"],
  ["$exists(text)", "\u{FFFF}", "selected"],
])("select() by %s, of %s: %s", async (filter, body, kind) => {
  const sent = message(body, {
    headers: [
      ["X-Tenant", "a"],
      ["x-tenant", "b"],
    ],
  });
  const selection = await createShaper({ ...UNSHAPED, filter }, ABOUT).select?.(sent, OPTIONS);
  expect(selection?.kind).toBe(kind as "selected");
});

const JSON_TYPE = [["Content-Type", "application/json"]];
const TEXT_TYPE = [["Content-Type", "text/plain; charset=utf-8"]];

test.each<[string, string, string, readonly unknown[]]>([
  ['"Order " & body.id', '{"id":7}', "Order 7", TEXT_TYPE],
  ['{ "a": body.id, "b": [body.none] }', '{"id":7}', '{"a":7,"b":[]}', JSON_TYPE],
  ["body.id > 5", '{"id":7}', "true", JSON_TYPE],
  ["null", "{}", "null", JSON_TYPE],
  ["body.none", "{}", "", []],
  ["body", '{ "big": 12345678901234567890 }', '{ "big": 12345678901234567890 }', []],
  ["text", "any\n text", "any\n text", []],
  ["body", "[ 1.0, 2 ]", "[ 1.0, 2 ]", []],
  [
    "body.items[p > 1].n",
    '{"items":[{"p":1,"n":"a"},{"p":2,"n":"b"},{"p":3,"n":"c"}]}',
    '["b","c"]',
    JSON_TYPE,
  ],
])("shape() makes of the body %s", async (body, sent, expected, headers) => {
  expect(await shape({ body }, message(sent))).toMatchObject({ body: expected, headers });
});

test("shape() keeps the very bytes where nothing changes the body, JSON or not", async () => {
  const body = new Uint8Array([0xff, 0, 1]);
  expect(await shape({ method: '"PUT"' }, message("", { body }))).toMatchObject({ bytes: body, headers: [] });
});

test("shape() replaces what the message's headers say of its body", async () => {
  const headers = [
    ["content-type", "application/xml"],
    ["Content-Encoding", "gzip"],
    ["X", "y"],
  ] as const;
  const made = [["content-type", null], ["Content-Encoding", null], ...JSON_TYPE];
  expect(await shape({ body: "[1]" }, message("x", { headers }))).toMatchObject({ headers: made });
});

test.each<[string, string]>([
  ['["devices", 7, "a b/c?d#e%2Ff"]', "/devices/7/a%20b%2Fc%3Fd%23e%252Ff"],
  ['"devices/" & body.id & "/readings/"', "/devices/x/readings/"],
  ['"/devices"', "/devices"],
  ["[]", ""],
  ['""', ""],
  ['"a..b/...c"', "/a..b/...c"],
  ['"é\\n"', "/%C3%A9%0A"],
  ['"a/../b"', 'path: the segment ".." leads out of the path'],
  ['["a/../b"]', 'path: the segment "a/../b" leads out of the path'],
  ['["a\\\\..\\\\b"]', 'path: the segment "a\\\\..\\\\b" leads out of the path'],
  ['["%2e%2E"]', 'path: the segment "%2e%2E" leads out of the path'],
  ['["x%2f..%5cy"]', 'path: the segment "x%2f..%5cy" leads out of the path'],
  ['["."]', 'path: the segment "." leads out of the path'],
  ['"a//b"', "path: a segment is empty"],
  ["body.none", "path: found nothing, allowed: a text or a list of segments"],
  ["[null]", "path: found null as a segment, allowed: a text or a number"],
  ["[{}]", "path: found an object as a segment, allowed: a text or a number"],
  ["$pad('', 9000, 'a')", "path: it is longer than 8192 characters"],
])("shape() makes of the path %s: %s", async (path, expected) => {
  const shaped = await shape({ path }, message('{"id":"x"}'));
  expect(typeof shaped === "string" ? shaped : shaped.path).toBe(expected);
});

test.each<[string, string]>([
  ['{ "a b": "c&d=é", "n": 1, "t": true }', "a%20b=c%26d%3D%C3%A9&n=1&t=true"],
  ['{ "list": [1, null, "x"], "no": null, "none": body.none }', "list=1&list=x"],
  ["body.none", ""],
  ["[1]", "query: found a list, allowed: an object"],
  ['{ "a": { "b": 1 } }', 'query: "a": found an object, allowed: a text, a number, true or false'],
])("shape() makes of the query %s: %s", async (query, expected) => {
  const shaped = await shape({ query }, message("{}"));
  expect(typeof shaped === "string" ? shaped : shaped.query).toBe(expected);
});

test.each<[string, unknown]>([
  ['"tenant-" & tokens[1]', [["X-Tenant", "tenant-eu"]]],
  ["body.none", [["X-Tenant", null]]],
  ["7", [["X-Tenant", "7"]]],
  ['"a\\r\\nHost: evil"', "header X-Tenant: it has a line break"],
  ['"\u{1F600}"', "header X-Tenant: it has characters that no header can hold"],
  ["{}", "header X-Tenant: found an object, allowed: a text, a number, true or false"],
  ["$error('no tenant')", "header X-Tenant: no tenant (at character 7)"],
])("shape() makes of a header %s", async (value, expected) => {
  const shaped = await shape({ headers: [["X-Tenant", value]] }, message("{}"));
  expect(typeof shaped === "string" ? shaped : shaped.headers).toEqual(expected as string);
});

test.each<[string, string | null]>([
  ['"PUT"', "PUT"],
  ["body.none", null],
  ['"DELETE"', 'method: found "DELETE", allowed: POST, PUT or PATCH'],
  ['"put"', 'method: found "put", allowed: POST, PUT or PATCH'],
  ["[1]", "method: found a list, allowed: POST, PUT or PATCH"],
])("shape() makes of the method %s: %s", async (method, expected) => {
  const shaped = await shape({ method }, message("{}"));
  expect(typeof shaped === "string" ? shaped : shaped.method).toBe(expected as "PUT");
});

test("shape() reads no message above a megabyte, and shapes one by its subject", async () => {
  const body = bytes(" ".repeat(1024 * 1024 + 1));
  expect(await shape({ body: "body" }, message("", { body }))).toContain("expressions read up to 1048576");
  expect(await shape({ path: "tokens" }, message("", { body }))).toMatchObject({ path: "/orders/eu/7" });
});

test("shape() takes an evaluation that has to wait back where its signal aborts", async () => {
  const shaper = createShaper({ ...UNSHAPED, body: "1" }, ABOUT);
  const stopping = new AbortController();
  const first = shaper.shape?.(message("{}"), OPTIONS);
  const second = shaper.shape?.(message("{}"), { attempt: 1, signal: stopping.signal });
  stopping.abort();
  expect((await first)?.kind).toBe("shaped");
  expect((await second)?.kind).toBe("aborted");
});
