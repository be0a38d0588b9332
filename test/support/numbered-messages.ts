// Numbered messages: published one after the other, and a book of the requests that bring them.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

const PUBLISH_MS = 2000;

/** A bucket as Relay makes it, with so many replicas. */
export async function addBucket(client: NatsConnection, name: string, replicas: number): Promise<void> {
  const { streams } = await jetstreamManager(client);
  await streams.add({
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    discard: "new",
    max_msgs_per_subject: 1,
    allow_direct: true,
    allow_rollup_hdrs: true,
    num_replicas: replicas,
  });
}

export interface Publisher {
  /** How many of it the stream has. */
  readonly count: number;
  stop: () => Promise<void>;
}

/** One after the other, so that their numbers are in the order of the stream; each until it is confirmed, stored once. */
export function startPublisher(
  client: NatsConnection,
  { subjectOf, perSecond }: { subjectOf: (number: number) => string; perSecond: number },
): Publisher {
  const js = jetstream(client);
  const startedAt = performance.now();
  let count = 0;
  const stopping = new AbortController();

  async function publishNext(): Promise<void> {
    const number = count + 1;
    const subject = subjectOf(number);
    try {
      await js.publish(subject, String(number), { msgID: `${subject}-${number}`, timeout: PUBLISH_MS });
      count = number;
    } catch {
      await Bun.sleep(100);
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const due = ((performance.now() - startedAt) / 1000) * perSecond;
      if (count < due) await publishNext();
      else await Bun.sleep(5);
    }
  }

  const running = run();
  return {
    get count() {
      return count;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

export interface Receipts {
  /** Numbers, in the order of their first request. */
  readonly firsts: readonly number[];
  readonly accepted: ReadonlySet<number>;
  /** Requests for a number that had been accepted before. */
  readonly repeats: number;
  /** Requests under another `webhook-id` than the first one of that number. */
  readonly strangers: number;
  /** First requests that came after that of a later message of their key. */
  readonly inversions: readonly string[];
  /** The longest time between two requests. */
  readonly longestGapMs: number;
}

export interface Book extends Receipts {
  /** True if it is the first request for that number. */
  note: (number: number, request: { id: string | null; key?: string }) => boolean;
  accept: (number: number) => void;
}

/** `circumstances`: what was going on, for the report of an inversion. */
export function createBook(circumstances: () => string): Book {
  const firsts: number[] = [];
  const accepted = new Set<number>();
  const ids = new Map<number, string | null>();
  const inversions: string[] = [];
  const highest = new Map<string, number>();
  let repeats = 0;
  let strangers = 0;
  let lastAt = performance.now();
  let longestGapMs = 0;
  return {
    firsts,
    accepted,
    inversions,
    get repeats() {
      return repeats;
    },
    get strangers() {
      return strangers;
    },
    get longestGapMs() {
      return longestGapMs;
    },
    note(number, { id, key = "" }) {
      const now = performance.now();
      longestGapMs = Math.max(longestGapMs, now - lastAt);
      lastAt = now;
      if (accepted.has(number)) repeats += 1;
      if (ids.has(number)) {
        if (ids.get(number) !== id) strangers += 1;
        return false;
      }
      ids.set(number, id);
      firsts.push(number);
      const last = highest.get(key) ?? 0;
      if (number < last) inversions.push(`${number} after ${last} (${circumstances()})`);
      highest.set(key, Math.max(last, number));
      return true;
    },
    accept: (number) => void accepted.add(number),
  };
}
