// `relay subscriptions seek`: shows position and effect, asks for confirmation, and moves the subscription.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import {
  type SeekBody,
  type SeekPreviewView,
  seekPreviewSchema,
  type SubscriptionView,
  subscriptionViewSchema,
} from "#wire/subscription.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { confirmed } from "./confirm.ts";
import { type Flags, type RemoteCall, type RemoteOption, textOf } from "./remote-command.ts";
import { subscriptionPath } from "./subscription-path.ts";
import { timeArgument } from "./time-argument.ts";

type Target = Extract<SeekBody, { to: unknown }>["to"];

const TARGETS: ReadonlySet<string> = new Set<Target>(["all", "new", "last"]);

export const SEEK_OPTIONS: readonly RemoteOption[] = [
  {
    flags: "--to <where>",
    description: "all (from the first message), new (messages from now on) or last (from the last message)",
  },
  { flags: "--sequence <number>", description: "from this message of the stream" },
  { flags: "--time <time>", description: "from the first message stored at this time or later" },
];

export function toSeek(flags: Flags, nowMs: number): SeekBody {
  const { to, sequence } = flags;
  const given = [to, sequence, flags["time"]].filter((value) => value !== undefined);
  if (given.length !== 1) throw new RelayError("usage", "seek takes one of --to, --sequence and --time");
  if (typeof to === "string") return { to: toTarget(to) };
  if (typeof sequence === "string") return { sequence: toSequence(sequence) };
  return { time: timeArgument(flags, { name: "time", nowMs }) ?? "" };
}

export async function seekSubscription(call: RemoteCall): Promise<number> {
  const { client, args, flags, io, nowMs } = call;
  const path = subscriptionPath(args[0]);
  const name = clean(args[0] ?? "");
  const body = toSeek(flags, nowMs);
  const shown = expectDone(await client.ask("GET", path), `seek ${name}`);
  const subscription = parseAnswer(subscriptionViewSchema, shown);
  const answer = expectDone(await client.ask("POST", `${path}/seek/preview`, { body }), `seek ${name}`);
  const preview = parseAnswer(seekPreviewSchema, answer);
  const isJson = flags["json"] === true;
  const lines = [describePosition(subscription, preview), describeSeek(flags, preview)];
  if (flags["dryRun"] === true) {
    io.stdout(isJson ? toSafeJson(answer) : toLines(lines));
    return 0;
  }
  if (!preview.changes) {
    io.stdout(isJson ? toSafeJson(shown) : toLines([...lines, `${name} was not moved`]));
    return 0;
  }
  if (flags["yes"] !== true && call.confirm !== null) io.stdout(toLines(lines));
  const isSure = await confirmed(call, {
    what: `seek ${name}: ${preview.effect}`,
    question: `Move ${name} there?`,
  });
  if (!isSure) {
    io.stdout("Nothing was changed\n");
    return 1;
  }
  const value = expectDone(await client.ask("POST", `${path}/seek`, { body }), `seek ${name}`);
  const { state } = parseAnswer(subscriptionViewSchema, value);
  const isHeld = state === "paused" || state === "stopped" || state === "failed";
  const still = isHeld ? `; it is ${state}, and sends them when it runs again` : "";
  io.stdout(isJson ? toSafeJson(value) : toLines([`${name} was moved: ${preview.effect}${still}`]));
  return 0;
}

function toLines(lines: readonly string[]): string {
  return lines.map((line) => `${clean(line)}\n`).join("");
}

function describePosition({ id, source }: SubscriptionView, preview: SeekPreviewView): string {
  const { position, lastSequence, waiting } = preview;
  const end = lastSequence === 0 ? "which has no message yet" : `which ends at ${lastSequence}`;
  const at = position === null ? `reads ${source.stream}` : `is at sequence ${position} of ${source.stream}`;
  const ahead =
    waiting === null
      ? ""
      : `; ${waiting.toLocaleString("en")} ${waiting === 1 ? "message waits" : "messages wait"}`;
  return `${id} ${at}, ${end}${ahead}`;
}

/** In the words that were typed: `--to all (sequence 1): about 2,600 messages are sent again`. */
export function describeSeek(
  flags: Flags,
  { sequence, effect }: Pick<SeekPreviewView, "sequence" | "effect">,
): string {
  const name = ["to", "sequence", "time"].find((option) => flags[option] !== undefined) ?? "to";
  const from = sequence === null || name === "sequence" ? "" : ` (sequence ${sequence})`;
  return `--${name} ${textOf(flags, name) ?? ""}${from}: ${effect}`;
}

function toTarget(text: string): Target {
  if (isTarget(text)) return text;
  throw new RelayError("usage", `--to takes all, new or last, found "${text}"`);
}

function isTarget(text: string): text is Target {
  return TARGETS.has(text);
}

function toSequence(text: string): number {
  const sequence = Number(text);
  if (/^\d+$/u.test(text) && Number.isSafeInteger(sequence) && sequence >= 1) return sequence;
  throw new RelayError("usage", `--sequence takes a whole number from 1, found "${text}"`);
}
