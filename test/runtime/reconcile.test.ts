// reconcile(): what starts, stops, is started anew, or only delivers on other terms.

import { expect, test } from "bun:test";
import type { Subscription } from "#delivery/subscription.ts";
import { type Plan, reconcile } from "#runtime/reconcile.ts";
import { toCallbackSettings, toRoute, toSubscription } from "../support/subscription.ts";

const OF_ALL = { stop: [], start: [], update: [], replace: [], keep: [] } satisfies Plan;
const callback = toCallbackSettings(new URL("http://127.0.0.1/"));

test("reconcile() starts what is new, stops what is gone, and keeps what is the same in other objects", () => {
  const [kept, gone, added] = ["kept", "gone", "added"].map((id) => toSubscription({ id }));
  if (kept === undefined || gone === undefined || added === undefined) throw new Error("There are three");
  const plan = reconcile([kept, gone], [toSubscription({ id: "kept" }), added]);
  expect(plan).toEqual({ ...OF_ALL, start: [added], stop: ["gone"], keep: ["kept"] });
});

const TERMS: readonly (readonly [string, Partial<Subscription>])[] = [
  ["callback URL", { callback: toCallbackSettings(new URL("http://127.0.0.1/other")) }],
  ["method", { callback: { ...callback, method: "PUT" } }],
  ["headers", { callback: { ...callback, headers: [["X-Key", "1"]] } }],
  ["auth", { callback: { ...callback, auth: { kind: "token", value: "a" } } }],
  [
    "a signature key",
    { callback: { ...callback, signatureKeys: [{ kind: "ed25519", seed: new Uint8Array(32) }] } },
  ],
  [
    "ssl",
    { callback: { ...callback, route: toRoute({ tls: { ...callback.route.tls, trusted: ["PEM"] } }) } },
  ],
  [
    "proxy",
    {
      callback: {
        ...callback,
        route: toRoute({ proxy: { kind: "system", http: null, https: null, noProxy: [] } }),
      },
    },
  ],
  ["rate limit", { rateLimit: { requests: 1, perSeconds: 1, burst: 1 } }],
  ["maximum age", { maxAgeMs: 1000 }],
  ["read timeout", { callback: { ...callback, readTimeoutMs: 1 } }],
  ["connection limit", { callback: { ...callback, maxConcurrentConnections: 2 } }],
  ["retry", { retry: { kind: "linear", maxAttempts: 1, initialDelayMs: 1, maxDelayMs: 1 } }],
  ["resume", { resume: { kind: "auto", initialDelayMs: 1, maxDelayMs: 1 } }],
  ["interruptOnServerError", { interruptOnServerError: false }],
  ["interruptOnException", { interruptOnException: false }],
  ["application", { application: "shop" }],
  ["status", { isPaused: true }],
];

test.each(TERMS)("reconcile() only updates where this changes: %s", (_what, changes) => {
  const next = toSubscription(changes);
  expect(reconcile([toSubscription()], [next])).toEqual({ ...OF_ALL, update: [next] });
});

const { source } = toSubscription();
const CONSUMING: readonly (readonly [string, Partial<Subscription>])[] = [
  ["qos", { qos: "NONE" }],
  ["stream", { source: { ...source, stream: "OTHER" } }],
  ["channel", { source: { ...source, filterSubjects: ["orders.a"] } }],
  ["ack wait", { source: { ...source, ackWaitMs: 1000 } }],
  [
    "dead letters",
    { deadLetters: [{ name: "letters", domain: null, stream: "DLQ", subject: "dlq", create: null }] },
  ],
  ["startingAt", { startingAt: new Date(0) }],
  ["endingAt", { endingAt: new Date(0) }],
];

test.each(CONSUMING)("reconcile() replaces where this changes: %s", (_what, changes) => {
  const next = toSubscription(changes);
  expect(reconcile([toSubscription()], [next])).toEqual({ ...OF_ALL, replace: [next] });
});

test("reconcile() only updates where dead letters go elsewhere, and replaces where there are none any more", () => {
  const letters = { name: "letters", domain: null, stream: "DLQ", subject: "dlq", create: null };
  const running = toSubscription({ deadLetters: [letters] });
  const elsewhere = toSubscription({ deadLetters: [{ ...letters, stream: "OTHER" }] });
  const none = toSubscription({ deadLetters: [] });
  expect(reconcile([running], [elsewhere])).toEqual({ ...OF_ALL, update: [elsewhere] });
  expect(reconcile([running], [none])).toEqual({ ...OF_ALL, replace: [none] });
});

test("reconcile() replaces where both kinds of settings change", () => {
  const next = toSubscription({ qos: "NONE", application: "shop" });
  expect(reconcile([toSubscription()], [next])).toEqual({ ...OF_ALL, replace: [next] });
});

test("reconcile() looks once at each that is another object, and never into one that is the same", () => {
  let looks = 0;
  const watched = (id: string): Subscription =>
    Object.defineProperty(toSubscription({ id }), "source", {
      enumerable: true,
      get: () => {
        looks += 1;
        return source;
      },
    });
  const all = Array.from({ length: 100 }, (_, index) => watched(`s${index}`));
  expect(reconcile(all, all).keep).toHaveLength(100);
  expect(looks).toBe(0);
  const again = Array.from({ length: 100 }, (_, index) => watched(`s${index}`));
  expect(reconcile(all, again).keep).toHaveLength(100);
  expect(looks).toBeLessThanOrEqual(200);
});
