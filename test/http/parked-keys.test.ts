// The routes of parked keys: who may resume one, and which answer each outcome gets.

import { expect, test } from "bun:test";
import { Hono } from "hono";
import type { Access } from "#http/access.ts";
import type { ServerEnv } from "#http/caller.ts";
import { addParkedKeys } from "#http/parked-keys.ts";
import { createReach, type SubscriptionsOptions } from "#http/subscription-reach.ts";
import type { ResumeOutcome } from "#runtime/parked-keys.ts";
import { toSubscription } from "../support/subscription.ts";

const PARKED = ["b", "a", ""].map((key, index) => ({
  key,
  since: new Date("2026-01-31T12:00:00.000Z"),
  cause: "Callback answered 422",
  sequence: index + 1,
  messages: 2,
  failures: 1,
}));
const DONE: ResumeOutcome = { kind: "resumed", sequence: 7, host: "edge-7" };

const ALL: Access = { kind: "all" };

function createRoutes({ access = ALL, outcome = DONE } = {}) {
  const requests: unknown[] = [];
  const registered = { subscription: toSubscription({ application: "shop" }) };
  const registry = {
    find: (id: string) => (id === "billing" ? registered : null),
    parked: () => PARKED,
    resumeParked(_id: string, request: object) {
      requests.push(request);
      return Promise.resolve(outcome);
    },
  } as unknown as ReturnType<SubscriptionsOptions["registry"]>;
  const routes = new Hono<ServerEnv>();
  routes.use(async (context, next) => {
    context.set("access", access);
    await next();
  });
  const options = { registry: () => registry, entrypoint: null } as SubscriptionsOptions;
  addParkedKeys(routes, { registry: () => registry, reach: createReach(options) });
  const call = async (path: string, body?: string) => {
    const init =
      body === undefined ? {} : { method: "POST", body, headers: { "content-type": "application/json" } };
    const response = await routes.request(path, init);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return { call, requests };
}

test("GET lists by key, in pages", async () => {
  const { call } = createRoutes();
  const first = await call("/billing/parked?limit=2");
  expect(first.body).toMatchObject({ items: [{ key: "" }, { key: "a" }], next: "a" });
  expect((await call("/billing/parked?cursor=a")).body).toEqual({
    items: [
      {
        key: "b",
        since: "2026-01-31T12:00:00.000Z",
        failureCause: "Callback answered 422",
        sequence: 1,
        messages: 2,
        nextTryAt: null,
      },
    ],
    next: null,
  });
  expect((await call("/billing/parked?limit=0")).status).toBe(400);
  expect((await call("/other/parked")).status).toBe(404);
});

test("POST resume: skips nothing unless it is told to", async () => {
  const { call, requests } = createRoutes();
  expect(await call("/billing/parked/resume", '{"key":""}')).toEqual({
    status: 200,
    body: { key: "", sequence: 7, skip: false, host: "edge-7" },
  });
  await call("/billing/parked/resume", '{"key":"a","skip":true}');
  expect(requests).toEqual([
    { key: "", skip: false },
    { key: "a", skip: true },
  ]);
});

test.each<[kind: string, outcome: ResumeOutcome, status: number]>([
  ["asked", { kind: "asked", sequence: 7, host: "edge-7" }, 202],
  ["not parked", { kind: "not-parked" }, 404],
  ["in flight", { kind: "in-flight" }, 409],
  ["no bucket", { kind: "unavailable", reason: "NATS is not connected" }, 503],
])("POST resume: %s", async (_kind, outcome, status) => {
  expect((await createRoutes({ outcome }).call("/billing/parked/resume", '{"key":"a"}')).status).toBe(status);
});

test.each([
  ["no JSON", "{", 400],
  ["no key", "{}", 422],
  ["a key that is no text", '{"key":1}', 422],
  ["a key too long", JSON.stringify({ key: "x".repeat(70_000) }), 422],
  ["something else", '{"key":"a","force":true}', 422],
])("POST resume refuses %s", async (_what, body, status) => {
  const { call, requests } = createRoutes();
  expect((await call("/billing/parked/resume", body)).status).toBe(status);
  expect(requests).toEqual([]);
});

test("POST resume is for operators; those who subscribe may look", async () => {
  const { call, requests } = createRoutes({ access: { kind: "application", application: "shop" } });
  expect((await call("/billing/parked")).status).toBe(200);
  expect((await call("/billing/parked/resume", '{"key":"a"}')).status).toBe(403);
  expect(requests).toEqual([]);
});
