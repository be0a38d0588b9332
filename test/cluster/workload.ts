// The work of the chaos run: numbered messages for each quality of service, a callback that takes them, and what became of them.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

export type Name = "alo" | "amo" | "auto";

export interface Work {
  readonly name: Name;
  readonly qos: "AT_LEAST_ONCE" | "AT_MOST_ONCE" | "AUTO";
  readonly perSecond: number;
}

/** 200 messages a second in all. */
export const WORKS: readonly Work[] = [
  { name: "alo", qos: "AT_LEAST_ONCE", perSecond: 60 },
  { name: "amo", qos: "AT_MOST_ONCE", perSecond: 40 },
  { name: "auto", qos: "AUTO", perSecond: 100 },
];
export const STREAM = "WORK";
export const LETTERS = "DLQ";
export const BUCKET = "relay";

/** Every so many is rejected for good, and every so many is taken at the second try, a second later: what is in order waits. */
const POISON_EVERY = 50;
const RETRY_EVERY = 333;
const REPLICAS = 3;
const PUBLISH_MS = 2000;

export function isPoison(number: number): boolean {
  return number % POISON_EVERY === 0;
}

export async function addStreams(client: NatsConnection): Promise<void> {
  const { streams } = await jetstreamManager(client);
  const common = { num_replicas: REPLICAS };
  await streams.add({ ...common, name: STREAM, subjects: ["work.*"] });
  const letters = { discard: "new", max_msgs_per_subject: 1 } as const;
  await streams.add({ ...common, ...letters, name: LETTERS, subjects: ["dlq.>"] });
  const bucket = { ...letters, name: `KV_${BUCKET}`, subjects: [`$KV.${BUCKET}.>`] };
  await streams.add({ ...common, ...bucket, allow_direct: true, allow_rollup_hdrs: true });
}

export interface Publisher {
  /** How many of it the stream has. */
  readonly count: number;
  stop: () => Promise<void>;
}

/** One after the other, so that their numbers are in the order of the stream; each until it is confirmed, stored once. */
export function startPublisher(client: NatsConnection, { name, perSecond }: Work): Publisher {
  const js = jetstream(client);
  const startedAt = performance.now();
  let count = 0;
  const stopping = new AbortController();

  async function publishNext(): Promise<void> {
    const number = count + 1;
    try {
      await js.publish(`work.${name}`, String(number), { msgID: `${name}-${number}`, timeout: PUBLISH_MS });
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
  /** First requests that came after that of a later message. */
  readonly inversions: readonly string[];
  /** The longest time between two requests. */
  readonly longestGapMs: number;
}

export interface Callback extends AsyncDisposable {
  readonly url: string;
  of: (name: Name) => Receipts;
}

interface Book {
  firsts: number[];
  accepted: Set<number>;
  ids: Map<number, string | null>;
  repeats: number;
  strangers: number;
  inversions: string[];
  highest: number;
  lastAt: number;
  longestGapMs: number;
}

/** `note`: what was going on, for the report of an inversion. */
export function startCallback(note: () => string): Callback {
  const books = new Map<string, Book>(WORKS.map(({ name }) => [name, createBook()]));

  function receive(book: Book, number: number, id: string | null): number {
    const now = performance.now();
    book.longestGapMs = Math.max(book.longestGapMs, now - book.lastAt);
    book.lastAt = now;
    const known = book.ids.get(number);
    if (known === undefined) {
      book.ids.set(number, id);
      book.firsts.push(number);
      if (number < book.highest) book.inversions.push(`${number} after ${book.highest} (${note()})`);
      book.highest = Math.max(book.highest, number);
    } else if (known !== id) book.strangers += 1;
    if (isPoison(number)) return 422;
    if (known === undefined && number % RETRY_EVERY === 0) return 503;
    if (book.accepted.has(number)) book.repeats += 1;
    book.accepted.add(number);
    return 200;
  }

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const book = books.get(new URL(request.url).pathname.slice(1));
      const number = Number(await request.text());
      if (book === undefined || !Number.isSafeInteger(number)) return new Response(null, { status: 400 });
      return new Response(null, { status: receive(book, number, request.headers.get("webhook-id")) });
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    of: (name) => books.get(name) ?? createBook(),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function createBook(): Book {
  return {
    firsts: [],
    accepted: new Set(),
    ids: new Map(),
    repeats: 0,
    strangers: 0,
    inversions: [],
    highest: 0,
    lastAt: performance.now(),
    longestGapMs: 0,
  };
}
