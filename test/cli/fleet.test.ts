// `--hosts`: which requests need the confirmation of all hosts, and what is printed of several.

import { expect, test } from "bun:test";
import { runOnHosts } from "#cli/fleet.ts";
import { createClient } from "#cli/client.ts";
import type { Flags, RemoteCommand } from "#cli/remote-command.ts";
import { LETTER_COMMANDS } from "#cli/letters.ts";
import { SUBSCRIPTION_COMMANDS } from "#cli/subscriptions.ts";

const NEVER = new AbortController().signal;

interface Asked {
  readonly host: string;
  readonly request: string;
}

/** Runs a command on two hosts whose relays answer `answer` to everything; nobody is there to confirm. */
async function run(name: string, { args = [], flags = {}, answer = {} }: Given) {
  const all = [...SUBSCRIPTION_COMMANDS, ...LETTER_COMMANDS];
  const command = all.find(({ usage }) => usage.split(" ")[0] === name) as RemoteCommand;
  const asked: Asked[] = [];
  const printed = { stdout: "", stderr: "" };
  const io = {
    stdout: (text: string | Uint8Array) => void (printed.stdout += String(text)),
    stderr: (text: string) => void (printed.stderr += text),
  };
  const exit = await runOnHosts(command, {
    pattern: "edge-*",
    isSure: flags["yes"] === true,
    flags,
    io,
    fleet: {
      list: async () => ({ items: ["edge-1", "edge-2"].map((host) => ({ host })), duplicates: [] }) as never,
      placeOf: (host) => ({
        kind: "host",
        name: host,
        send: async (path, { method = "GET" }) => {
          asked.push({ host, request: `${method} ${path.split("?")[0]}` });
          return Response.json(answer);
        },
      }),
      [Symbol.dispose]: () => {},
    },
    toCall: (place, output) => ({
      client: createClient(place, NEVER),
      args,
      flags,
      io: output,
      screen: { width: null, isColoured: false },
      nowMs: 0,
      readInput: () => Promise.reject(new Error("nothing is read")),
      confirm: null,
      stopping: NEVER,
    }),
  }).catch((error: unknown) => error);
  return { exit, asked, ...printed };
}

interface Given {
  readonly args?: readonly string[];
  readonly flags?: Flags;
  readonly answer?: object;
}

const COUNTS = {
  at: "2026-01-31T12:00:00.000Z",
  letters: 211,
  foreign: 0,
  byReason: { rejected: 200, "server-error": 1, exception: 10, expression: 0, expired: 0, unknown: 0 },
  bySubscription: { billing: 211 },
  isComplete: true,
  faults: [],
};
const PURGED = { matched: 7, purged: 0, start: "x", next: null };

test("runOnHosts() asks for no confirmation of a dry run", async () => {
  const { exit, asked } = await run("purge", { flags: { all: true, dryRun: true }, answer: PURGED });
  expect(asked).toEqual([
    { host: "edge-1", request: "DELETE api/dead-letters" },
    { host: "edge-2", request: "DELETE api/dead-letters" },
  ]);
  expect(exit).toBe(0);
});

test("runOnHosts() asks before anything is changed, for all hosts at once", async () => {
  const { exit, asked } = await run("pause", { args: ["sub"] });
  expect(asked).toEqual([]);
  expect(exit).toMatchObject({
    code: "usage",
    message: "No terminal to ask for confirmation; use --yes for pause on 2 hosts: edge-1, edge-2",
  });
});

test("runOnHosts() prints one JSON document, with what each host answered or why it did not", async () => {
  const { exit, stdout } = await run("counts", {
    flags: { json: true },
    answer: COUNTS,
  });
  expect(exit).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    items: [
      { host: "edge-1", exitCode: 0, answer: { letters: 211 }, error: null },
      { host: "edge-2", exitCode: 0, answer: { letters: 211 }, error: null },
    ],
  });
  const broken = await run("counts", { flags: { json: true } });
  expect(broken.exit).toBe(1);
  expect(JSON.parse(broken.stdout)).toMatchObject({
    items: [
      { host: "edge-1", exitCode: 1, answer: null, error: expect.stringContaining("Cannot read the answer") },
      { host: "edge-2" },
    ],
  });
});

test("runOnHosts() refuses to follow several hosts: it would never come to the second", async () => {
  expect((await run("counts", { flags: { follow: true } })).exit).toMatchObject({
    code: "usage",
    message: "--follow goes with one host: name it with --host",
  });
});
