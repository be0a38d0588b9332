// The routes of the delivery log before a real one: filters, pages, one record, both forms of export, and what is refused.

import { Hono } from "hono";
import { expect, test } from "bun:test";
import type { DeliveryRecord } from "#delivery/record.ts";
import type { Access } from "#http/access.ts";
import type { ServerEnv } from "#http/caller.ts";
import { createDeliveryRoutes } from "#http/deliveries.ts";
import { createServerSlots } from "#http/slots.ts";
import { openTestLog, toMessage, toRecord } from "../delivery-log/records.ts";
import { eventually } from "../support/eventually.ts";

const ENV = { caller: { kind: "socket" }, over: AbortSignal.abort() } as const;

async function serve(
  records: readonly DeliveryRecord[],
  { access = { kind: "all" }, entrypoint = null }: { access?: Access; entrypoint?: string | null } = {},
) {
  const own = await openTestLog();
  for (const record of records) own.log.append(record);
  await eventually(() => own.log.stats().written === records.length);
  const server = new Hono<ServerEnv>();
  server.use(async (context, next) => {
    context.set("access", access);
    context.set("tenant", "operators");
    await next();
  });
  server.route(
    "/api/deliveries",
    createDeliveryRoutes({
      host: "edge-7",
      deliveryLog: own.log,
      slots: createServerSlots(),
      registry: () => ({ list: () => [] }),
      findSubscription: () => null,
      entrypoints: [{ id: "webhook" }],
      entrypoint,
    }),
  );
  const get = async (query: string) => server.request(`http://localhost/api/deliveries${query}`, {}, ENV);
  const idsOf = async (query: string) => {
    const { items } = (await (await get(query)).json()) as { items: { id: string; subject: string }[] };
    return items.map(({ subject }) => subject);
  };
  return { get, idsOf, log: own.log, [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() };
}

const DAY = "2026-01-02";
const VARIED = [
  toRecord({ message: toMessage("a"), status: 200, subscription: "one", date: new Date(`${DAY}T01:00:00Z`) }),
  toRecord({ message: toMessage("b"), status: 404, application: "shop", date: new Date(`${DAY}T02:00:00Z`) }),
  toRecord({ message: toMessage("c"), status: 499, entrypoint: "other", date: new Date(`${DAY}T03:00:00Z`) }),
  toRecord({
    message: toMessage("d"),
    status: 0,
    callbackUrl: "https://a.example/x%_y",
    date: new Date(`${DAY}T04:00:00Z`),
  }),
  toRecord({ message: toMessage("e"), status: 500, date: new Date(`${DAY}T05:00:00Z`) }),
];

test.each([
  ["", "edcba"],
  ["?status=404", "b"],
  ["?status=4xx", "cb"],
  ["?status=0", "d"],
  ["?subscription=one", "a"],
  ["?application=shop", "b"],
  ["?entrypoint=other", "c"],
  ["?callbackUrl=a.example/x", "d"],
  ["?callbackUrl=x%25_y", "d"],
  ["?callbackUrl=x%25y", ""],
  ["?status=404&status=5xx", "eb"],
  ["?subscription=one&subscription=billing&application=shop", "b"],
  ["?callbackUrl=nowhere&callbackUrl=a.example", "d"],
  ["?subject=a&subject=e", "ea"],
  ["?subject=*", "edcba"],
  ["?subject=*.b", ""],
  ["?sequence=1&limit=2", "ed"],
  ["?sequence=2", ""],
  ["?webhookId=msg_ORDERS_1_a&status=0", "d"],
  ["?webhookId=msg_ORDERS_1_b", ""],
  [`?from=${DAY}T03:00:00Z`, "edc"],
  [`?to=${DAY}T03:00:00Z`, "ba"],
  [`?from=${DAY}T02:00:00Z&to=${DAY}T05:00:00Z&status=4xx`, "cb"],
])("GET /api/deliveries%s", async (query, expected) => {
  await using own = await serve(VARIED);
  expect((await own.idsOf(query)).join("")).toBe(expected);
});

test.each([
  "?status=4x",
  "?status=99",
  "?limit=0",
  "?limit=1001",
  "?cursor=a",
  "?from=yesterday",
  "?from=2026-02-31T00:00:00Z",
  "?other=1",
  "?status=9xx",
  "?sequence=0",
  "?webhookId=a",
  "?subject=orders..a",
  "?subscription=nobody",
  "?application=nobody",
  "?entrypoint=nobody",
  "?limit=1&limit=2",
])("GET /api/deliveries%s is refused", async (query) => {
  await using own = await serve(VARIED);
  const answer = await own.get(query);
  expect(answer.status).toBe(400);
  expect(await answer.text()).toMatch(/allowed|limit|known|next of/u);
});

test("pages go on where they ended, whatever is written meanwhile, and look through everything for a rare record", async () => {
  const rare = toRecord({ message: toMessage("rare"), status: 418 });
  const common = Array.from({ length: 4500 }, (_, index) => toRecord({ message: toMessage(String(index)) }));
  await using own = await serve([rare, ...common, rare]);
  const first = (await (await own.get("?limit=3")).json()) as { items: object[]; next: string };
  own.log.append(toRecord({ message: toMessage("later") }));
  await eventually(() => own.log.stats().written === 4503);
  expect(await own.idsOf(`?limit=3&cursor=${first.next}`)).toEqual(["4497", "4496", "4495"]);
  expect(await own.idsOf("?status=418")).toEqual(["rare", "rare"]);
  const last = (await (await own.get("?status=418&limit=2")).json()) as { next: string | null };
  expect(last.next).toBeNull();
});

test("GET /api/deliveries/{id} shows one record whole, bytes in base64", async () => {
  const body = Buffer.from([255, 0, 254]);
  await using own = await serve([
    toRecord({
      error: "Callback answered 500",
      request: { headers: [["X", "1"]], body, isCut: true },
      response: { headers: null, body: Buffer.from("a text"), isCut: false },
    }),
  ]);
  const { items } = (await (await own.get("")).json()) as { items: { id: string }[] };
  expect(await (await own.get(`/${items[0]?.id}`)).json()).toMatchObject({
    error: "Callback answered 500",
    request: { headers: [["X", "1"]], body: body.toString("base64"), encoding: "base64", truncated: true },
    response: { headers: null, body: "a text", encoding: "text", truncated: false },
  });
  for (const id of ["1", "abc", "-1", "99999999999999999"])
    expect((await own.get(`/${id}`)).status).toBe(404);
});

test("GET /api/deliveries/export gives JSON lines with all there is", async () => {
  const records = Array.from({ length: 130 }, (_, index) =>
    toRecord({
      message: toMessage(String(index)),
      request: { headers: null, body: Buffer.from("body\nof it"), isCut: false },
    }),
  );
  await using own = await serve(records);
  const response = await own.get("/export");
  expect(response.headers.get("content-type")).toBe("application/jsonl");
  const lines = (await response.text()).trimEnd().split("\n");
  expect(lines).toHaveLength(130);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    subject: "129",
    request: { body: "body\nof it" },
  });
  expect(await (await own.get("/export?status=404")).text()).toBe("");
});

test("GET /api/deliveries/export gives CSV that no spreadsheet takes for formulas", async () => {
  await using own = await serve([
    toRecord({ subscription: "=1+1", application: "@SUM(A1)", entrypoint: 'a "b", c', error: "-1\r\nx" }),
  ]);
  const response = await own.get("/export?format=csv");
  expect(response.headers.get("content-type")).toBe("text/csv; charset=utf-8");
  expect(response.headers.get("content-disposition")).toBe('attachment; filename="deliveries.csv"');
  const [head = "", ...rest] = (await response.text()).split("\r\n");
  expect(head).toStartWith("id,date,host,entrypoint,subscription,application,");
  const line = rest.join("\r\n");
  expect(line).toContain(',"a ""b"", c",\'=1+1,\'@SUM(A1),POST,');
  expect(line).toEndWith(',1,"\'-1\r\nx",\r\n');
});

test("below a context path an id of another application answers like an id that nobody has", async () => {
  const access = { kind: "application", application: "shop" } as const;
  await using own = await serve(VARIED, { access, entrypoint: "webhook" });
  expect(await own.idsOf("")).toEqual(["b"]);
  const textOf = async (query: string) =>
    (await (await own.get(query)).text()).replaceAll(/"found [^,]*/gu, "");
  for (const name of ["subscription", "application", "entrypoint"]) {
    const nobody = await textOf(`?${name}=nobody`);
    expect(nobody).toContain("allowed");
    for (const other of ["one", "other"]) expect(await textOf(`?${name}=${other}`)).toBe(nobody);
  }
  expect(await own.idsOf("?sequence=1&subject=*&status=404&status=200")).toEqual(["b"]);
  await using all = await serve(VARIED);
  const { items } = (await (await all.get("?subject=c")).json()) as { items: { id: string }[] };
  expect((await own.get(`/${items[0]?.id}`)).status).toBe(404);
});

test("leftOut counts what sampling left out, within the filters", async () => {
  await using own = await serve(VARIED);
  const origin = { subscription: "one", entrypoint: "webhook", application: null, callbackUrl: "http://a/x" };
  for (let count = 0; count < 5; count += 1) own.log.leaveOut(origin, 200);
  own.log.leaveOut({ ...origin, subscription: "billing", application: "shop" }, 204);
  const leftOut = async (query: string) =>
    ((await (await own.get(query)).json()) as { leftOut: number }).leftOut;
  await eventually(async () => (await leftOut("")) === 6);
  expect(await leftOut("?subscription=one")).toBe(5);
  expect(await leftOut("?application=shop&status=2xx")).toBe(1);
  expect(await leftOut("?status=4xx")).toBe(0);
  expect(await leftOut(`?to=${DAY}T00:00:00Z`)).toBe(0);
  expect(await leftOut(`?from=${new Date().toISOString()}`)).toBe(6);
});
