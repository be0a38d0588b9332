// The messages of a resend: found in the stream by sequence, time or webhook-id, and sent to a subscription once more.
//
// Each message is read from the stream by its sequence, so the subscription's own position stays as it is.

import { timeToken } from "#delivery/message.ts";
import { isInScope, type ReplayPlace, type ReplayRecord, type Resend } from "#delivery/replay.ts";
import { isWithin } from "#delivery/subject.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { StreamMessages, StreamRead } from "#letters/stream-messages.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { type ReplayItem, type ReplayItems, skip, type NextItem } from "./items.ts";
import { repeatUntilKnown } from "./settle.ts";

interface MessageItemsParts {
  readonly find: (id: string) => RunningSubscription | null;
  readonly openMessages: (subscription: Subscription) => StreamMessages;
  readonly isCurrent: () => boolean;
  readonly waiting: AbortSignal;
  /** Stores the progress in the record. False: it could not. */
  readonly save: () => Promise<boolean>;
  /** Counts messages that the stream no longer has. */
  readonly onGone: (count: number) => void;
}

type FoundMessage = Extract<StreamRead, { kind: "found" }>;

/** null: the replay was stopped before the stream had answered, or there is no such subscription. */
export async function openMessageItems(
  record: ReplayRecord,
  resend: Resend,
  parts: MessageItemsParts,
): Promise<ReplayItems | null> {
  const { waiting } = parts;
  const found = parts.find(resend.subscription);
  if (found === null || !isInScope(found.subscription, record.scope)) return null;
  const { subscription } = found;
  const { source } = subscription;
  const messages = parts.openMessages(subscription);
  const range = await openRange(record, resend, { messages, subscription, waiting });
  if (range === null) return null;
  const { last } = range.place;
  const open = new Set<number>();
  let cursor = range.first;
  const filter = source.filterSubjects.length === 1 ? (source.filterSubjects[0] ?? ">") : ">";
  /** A single message named by its sequence. It is read whatever its subject, so that the answer can say that it is wrong. */
  const isNamed = resend.kind === "sequences" && resend.from === resend.to;

  async function next(signal: AbortSignal): Promise<NextItem | null> {
    if (cursor > last) return null;
    const at = cursor;
    const read = await untilKnown(() => messages.next(isNamed ? ">" : filter, at, signal), signal);
    if (read === null) return null;
    const isThere = read.kind === "found" && read.sequence <= last;
    const gapEnd = isThere ? read.sequence : last + 1;
    if (gapEnd > at) {
      const gone = await repeatUntilKnown(() => messages.countMissing(at, gapEnd - 1, signal), signal);
      if (gone === null) return null;
      parts.onGone(gone);
    }
    cursor = gapEnd + 1;
    return isThere ? judge(read) : null;
  }

  function judge({ message, sequence }: FoundMessage): NextItem {
    open.add(sequence);
    const pass = () => void open.delete(sequence);
    if (message === null) return skip("gone", pass);
    const { filterSubjects } = source;
    const isTaken =
      filterSubjects.length === 0 || filterSubjects.some((one) => isWithin(message.subject, one));
    if (!isTaken) return skip(isNamed ? "excluded" : null, pass);
    const isMeant =
      resend.kind === "times" || (resend.timeToken ?? timeToken(message)) === timeToken(message);
    if (!isMeant) return skip("gone", pass);
    const target = parts.find(resend.subscription);
    if (target === null || target.state().kind === "closed") return skip("noSubscription", pass);
    const item: ReplayItem = {
      key: `${source.domain ?? ""}/${source.stream}/${sequence} to ${resend.subscription}`,
      target: resend.subscription,
      message,
      letter: null,
      pass,
      async claim(qos) {
        if (!parts.isCurrent() || waiting.aborted) return "unavailable";
        if (qos !== "AT_MOST_ONCE") return "claimed";
        // From here on, no relay sends the message again for this resend.
        pass();
        return (await parts.save()) ? "claimed" : "unavailable";
      },
      delivered: () => Promise.resolve(true),
      failed: () => Promise.resolve(true),
    };
    return { kind: "send", item };
  }

  return { places: [range.place], cursors: () => [Math.min(cursor, ...open)], next };
}

interface Range {
  readonly place: ReplayPlace;
  readonly first: number;
}

/** The first and last sequence of the resend: messages that arrive later are not part of it. null: it was stopped. */
async function openRange(
  { places, cursors }: ReplayRecord,
  resend: Resend,
  {
    messages,
    subscription,
    waiting,
  }: { messages: StreamMessages; subscription: Subscription; waiting: AbortSignal },
): Promise<Range | null> {
  const { domain, stream } = subscription.source;
  const [known] = places ?? [];
  if (known !== undefined) return { place: known, first: cursors[0] ?? 1 };
  const end = await repeatUntilKnown(() => messages.lastSequence(waiting), waiting);
  if (end === null) return null;
  const place = { name: stream, domain, stream, subject: ">" };
  if (resend.kind === "sequences") {
    return {
      place: { ...place, last: Math.min(resend.to ?? end, Math.max(end, resend.from)) },
      first: resend.from,
    };
  }
  const firstAt = (time: string) =>
    findFirst(BigInt(Date.parse(time)) * 1_000_000n, { messages, end, signal: waiting });
  const first = await firstAt(resend.from);
  const after = resend.to === null ? end + 1 : await firstAt(resend.to);
  return first === null || after === null ? null : { place: { ...place, last: after - 1 }, first };
}

/** Bisects for the first sequence that was stored at that time or later. null: `signal` aborted. */
async function findFirst(
  nanos: bigint,
  { messages, end, signal }: { messages: StreamMessages; end: number; signal: AbortSignal },
): Promise<number | null> {
  let low = 1;
  let high = end + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    let read = await untilKnown(() => messages.next(">", middle, signal), signal);
    // A delete marker has no time.
    while (read?.kind === "found" && read.message === null) {
      const after = read.sequence + 1;
      read = await untilKnown(() => messages.next(">", after, signal), signal);
    }
    if (read === null) return null;
    if (read.kind === "none" || read.sequence >= high || read.timestampNanos >= nanos) high = middle;
    else low = read.sequence + 1;
  }
  return low;
}

/** null: `signal` aborted first. */
function untilKnown(
  read: () => Promise<StreamRead>,
  signal: AbortSignal,
): Promise<Exclude<StreamRead, { kind: "unavailable" }> | null> {
  return repeatUntilKnown(async () => {
    const result = await read();
    return result.kind === "unavailable" ? null : result;
  }, signal);
}
