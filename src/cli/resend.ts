// `relay subscriptions resend`: sends messages of the stream once more, beside the position of the subscription.

import { parseWebhookId } from "#delivery/message.ts";
import { RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";
import { type ResendBody, startedReplaySchema } from "#wire/replay.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { showStarted, toPace } from "./letter-replay.ts";
import {
  type Flags,
  JSON_OPTION,
  type RemoteCall,
  type RemoteCommand,
  textOf,
  wholeNumberOf,
} from "./remote-command.ts";
import { TIME_ARGUMENT_NOTE, timeRange } from "./time-argument.ts";

const SEQUENCE = { min: 1, max: Number.MAX_SAFE_INTEGER };

export const RESEND_COMMAND: RemoteCommand = {
  usage: "resend <id>",
  description: "send messages of the stream once more; the subscription keeps its position",
  options: [
    { flags: "--sequence <number>", description: "the message with this sequence in the stream" },
    { flags: "--webhook-id <id>", description: "the message with this webhook-id" },
    { flags: "--from <where>", description: "from this sequence, or from this time on" },
    { flags: "--to <where>", description: "up to this sequence, or before this time (default: until now)" },
    { flags: "--rate <number>", description: "messages per second at most" },
    {
      flags: "--concurrency <number>",
      description: "messages at once, up to the connections of the subscription",
    },
    { flags: "--dry-run", description: "count the messages, send nothing" },
    { flags: "--detach", description: "do not wait for the end" },
    JSON_OPTION,
  ],
  examples: [
    "relay subscriptions resend billing --sequence 4711",
    "relay subscriptions resend billing --webhook-id msg_ORDERS_4711_cwyvpeni7w9h",
    "relay subscriptions resend billing --from 4711 --to 4720 --dry-run",
    "relay subscriptions resend billing --from 2h --rate 50",
  ],
  note: `${TIME_ARGUMENT_NOTE}\nIt is a replay: relay dlq replays list shows it; relay dlq replays pause, resume and stop control it.`,
  check: (flags) => void toBody(flags, Date.now()),
  run: resend,
};

async function resend(call: RemoteCall): Promise<number> {
  const { client, args, flags, io, nowMs } = call;
  const body = toBody(flags, nowMs);
  const id = args[0] ?? "";
  const answer = await client.ask("POST", `api/subscriptions/${encodeURIComponent(id)}/resend`, { body });
  const started = parseAnswer(startedReplaySchema, expectDone(answer, `resend to ${clean(id)}`));
  for (const warning of started.warnings) io.stderr(`${clean(warning)}.\n`);
  return showStarted(call, started, null);
}

/** Throws a RelayError `usage`. */
function toBody(flags: Flags, nowMs: number): ResendBody {
  return { ...toPace(flags), ...toChoice(flags, nowMs), dryRun: flags["dryRun"] === true };
}

function toChoice(flags: Flags, nowMs: number): ResendBody {
  const sequence = wholeNumberOf(flags, { name: "sequence", ...SEQUENCE });
  const webhookId = textOf(flags, "webhookId");
  const from = textOf(flags, "from");
  const given = [sequence, webhookId, from].filter((value) => value !== null);
  if (given.length !== 1)
    throw new RelayError("usage", "resend takes one of --sequence, --webhook-id and --from");
  if (from === null && textOf(flags, "to") !== null) throw new RelayError("usage", "--to goes with --from");
  if (sequence !== null) return { sequence };
  if (webhookId !== null) {
    if (parseWebhookId(webhookId) !== null) return { webhookId };
    throw new RelayError(
      "usage",
      `--webhook-id takes one such as msg_ORDERS_4711_cwyvpeni7w9h, found "${clean(webhookId)}"`,
    );
  }
  const isSequence = /^\d+$/u.test(from ?? "");
  return isSequence ? { sequences: toSequences(flags) } : { times: toTimes(flags, nowMs) };
}

function toSequences(flags: Flags): NonNullable<ResendBody["sequences"]> {
  const from = wholeNumberOf(flags, { name: "from", ...SEQUENCE }) ?? 1;
  const to = wholeNumberOf(flags, { name: "to", ...SEQUENCE });
  if (to !== null && to < from) throw new RelayError("usage", "--to is before --from");
  return to === null ? { from } : { from, to };
}

function toTimes(flags: Flags, nowMs: number): NonNullable<ResendBody["times"]> {
  const { from, to } = timeRange(flags, nowMs);
  return { from: from ?? "", ...(to === null ? {} : { to }) };
}
