// Runs `relay subscriptions parked` and `relay subscriptions resume ID --key KEY`: the parked keys of an ordered subscription.

import { clean, toSafeJson } from "#lib/printable.ts";
import {
  type ParkedKeyView,
  type ParkedResumeBody,
  parkedKeySchema,
  parkedResumedSchema,
} from "#wire/parked.ts";
import { listAll, parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { toRelative } from "./relative-time.ts";
import type { RemoteCall } from "./remote-command.ts";
import { idOf, pathOf } from "./subscription-actions.ts";
import { type Column, formatTable } from "./table.ts";
import type { Screen } from "./terminal.ts";

export async function showParked(call: RemoteCall): Promise<number> {
  const { client, flags, io, screen, nowMs } = call;
  const list = { path: pathOf(call, "parked"), what: `parked keys of ${idOf(call)}`, item: parkedKeySchema };
  const keys = await listAll(client, list);
  if (flags["json"] === true) io.stdout(toSafeJson({ items: keys, next: null }));
  else io.stdout(formatParked(keys, { screen, nowMs }));
  return 0;
}

function formatParked(
  keys: readonly ParkedKeyView[],
  { screen, nowMs }: { screen: Screen; nowMs: number },
): string {
  const columns: readonly Column<ParkedKeyView>[] = [
    { title: "KEY", textOf: ({ key }) => nameOf(key), isWhole: true },
    { title: "PARKED", textOf: ({ since }) => toRelative(since, nowMs) },
    { title: "MESSAGES", textOf: ({ messages }) => String(messages), isNumber: true },
    { title: "FIRST", textOf: ({ sequence }) => String(sequence), isNumber: true },
    {
      title: "NEXT TRY",
      textOf: ({ nextTryAt }) => (nextTryAt === null ? "" : toRelative(nextTryAt, nowMs)),
    },
    { title: "CAUSE", textOf: ({ failureCause }) => failureCause },
  ];
  return keys.length === 0 ? "No keys are parked.\n" : formatTable(keys, { columns, screen });
}

export async function resumeKey(call: RemoteCall, body: ParkedResumeBody): Promise<number> {
  const { client, flags, io } = call;
  const answer = await client.ask("POST", pathOf(call, "parked/resume"), { body });
  const value = expectDone(answer, `resume ${nameOf(body.key)} of ${idOf(call)}`);
  const { key, sequence, skip } = parseAnswer(parkedResumedSchema, value);
  if (flags["json"] === true) {
    io.stdout(toSafeJson(value));
    return 0;
  }
  const what = skip ? `message ${sequence} is skipped` : `message ${sequence} is sent again`;
  io.stdout(`${clean(`${idOf(call)}: ${nameOf(key)} is resumed, ${what}`)}\n`);
  return 0;
}

/** Messages without a key share the empty one. */
function nameOf(key: string): string {
  return key === "" ? "(no key)" : clean(key);
}
