// A purge of more than one call can do, against a relay that answers in parts.

import { expect, test } from "bun:test";
import { createClient } from "#cli/client.ts";
import { findRelay } from "#cli/find-relay.ts";
import { findLetters, runPurge } from "#cli/letter-purge.ts";
import type { RemoteCall } from "#cli/remote-command.ts";

interface Asked {
  readonly dryRun?: boolean;
  readonly cursor?: string;
  readonly confirm?: number;
}

const STOPPING = new AbortController().signal;

/** Answers the n-th call with the n-th answer. */
async function relayThatSays(answers: readonly object[]) {
  const asked: Asked[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      asked.push((await request.json()) as Asked);
      return Response.json(answers[asked.length - 1] ?? { title: "Too many calls" }, {
        status: answers[asked.length - 1] === undefined ? 500 : 200,
      });
    },
  });
  const place = await findRelay({ named: undefined, url: server.url.href, env: {} });
  let stdout = "";
  const call: RemoteCall = {
    client: createClient(place, STOPPING),
    args: [],
    flags: { subscription: "a", yes: true },
    io: { stdout: (content) => void (stdout += String(content)), stderr: () => undefined },
    screen: { width: null, isColoured: false },
    nowMs: 0,
    readInput: () => Promise.reject(new Error("nothing is read")),
    confirm: null,
    stopping: STOPPING,
  };
  return { call, asked, stdout: () => stdout, [Symbol.asyncDispose]: () => server.stop(true) };
}

const page = (matched: number, purged: number, next: string | null) => ({
  matched,
  purged,
  start: "s",
  next,
});

test("findLetters() counts to the end, from where the first call began", async () => {
  await using relay = await relayThatSays([page(10_000, 0, "n"), page(10_000, 0, "m"), page(7, 0, null)]);
  const found = await findLetters(relay.call.client, { kind: "filter", filter: { subscription: "a" } });
  expect(found).toEqual({ matched: 20_007, start: "s" });
  expect(relay.asked.map(({ cursor }) => cursor)).toEqual([undefined, "n", "m"]);
});

test("purgeLetters() goes on until all that was counted is gone, and never asks for more", async () => {
  await using relay = await relayThatSays([
    page(12, 0, null),
    page(12, 5, "s"),
    page(7, 4, "s"),
    page(3, 3, "n"),
  ]);
  expect(await runPurge(relay.call)).toBe(0);
  const purges = relay.asked.slice(1).map(({ cursor, confirm }) => ({ cursor, confirm }));
  expect(purges).toEqual([
    { cursor: "s", confirm: 12 },
    { cursor: "s", confirm: 7 },
    { cursor: "s", confirm: 3 },
  ]);
  expect(relay.stdout()).toBe("12 dead letters purged\n");
});

test("purgeLetters() does not ask for ever where the relay gets no further", async () => {
  await using relay = await relayThatSays([page(12, 0, null), page(12, 5, "s"), page(7, 0, "s")]);
  expect(await runPurge(relay.call).catch(String)).toBe(
    "RelayError: Cannot purge more than 5 of 12: the relay gets no further",
  );
});
