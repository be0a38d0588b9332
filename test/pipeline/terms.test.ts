// The terms of delivery while they change: an attempt ends on those it began with, and their callback is closed after it.

import { expect, test } from "bun:test";
import { type Callback, openCallback } from "#callback/client.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { createTerms } from "#pipeline/terms.ts";
import { toCallbackSettings, toSubscription } from "../support/subscription.ts";

interface Opened {
  readonly path: string;
  isClosed: boolean;
}

function setUp() {
  const opened: Opened[] = [];
  const open = (subscription: Subscription): Callback => {
    const callback = openCallback(subscription.callback, { connections: 1 });
    const own: Opened = { path: subscription.callback.url.pathname, isClosed: false };
    opened.push(own);
    return {
      ...callback,
      async close(graceMs) {
        own.isClosed = true;
        await callback.close(graceMs);
      },
    };
  };
  const terms = createTerms(toPath("/a"), { openCallback: open, hasDeadLetters: true });
  return { terms, closed: () => opened.filter(({ isClosed }) => isClosed).map(({ path }) => path) };
}

function toPath(path: string): Subscription {
  return toSubscription({ callback: toCallbackSettings(new URL(path, "http://127.0.0.1:9")) });
}

const pathOf = ({ subscription }: { subscription: Subscription }) => subscription.callback.url.pathname;

test("createTerms() keeps the terms of an attempt in progress, and gives the new ones to the next", () => {
  const { terms, closed } = setUp();
  const first = terms.begin();
  const other = terms.begin();
  terms.replace({ ...toPath("/b"), retry: { kind: "none" }, interruptOnServerError: false });
  const second = terms.begin();
  expect([first, other, second, terms.current].map(pathOf)).toEqual(["/a", "/a", "/b", "/b"]);
  expect([first.policy.interruptOnServerError, second.policy.interruptOnServerError]).toEqual([true, false]);
  expect(second.policy.hasDeadLetters).toBe(true);
  terms.end(first);
  expect(closed()).toEqual([]);
  terms.end(other);
  expect(closed()).toEqual(["/a"]);
  terms.end(second);
  expect(closed()).toEqual(["/a"]);
});

test("createTerms() closes an unused callback at once, and a used one after its last attempt", () => {
  const { terms, closed } = setUp();
  terms.replace(toPath("/b"));
  expect(closed()).toEqual(["/a"]);
  const own = terms.begin();
  terms.replace(toPath("/c"));
  terms.replace(toPath("/d"));
  expect(closed()).toEqual(["/a", "/c"]);
  terms.end(own);
  expect(closed()).toEqual(["/a", "/b", "/c"]);
});

test("close() closes the current callback, and the former ones that are in use", async () => {
  const { terms, closed } = setUp();
  terms.begin();
  terms.replace(toPath("/b"));
  await terms.close(0);
  expect(closed()).toEqual(["/a", "/b"]);
});

test("end() throws for an attempt that has ended: its callback could be closed under another one", () => {
  const { terms } = setUp();
  const own = terms.begin();
  terms.end(own);
  expect(() => terms.end(own)).toThrow("No attempt is under way");
});
