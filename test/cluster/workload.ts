// The work of the chaos run: numbered messages for each quality of service, a callback that takes them, and what became of them.

import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { addBucket, createBook, type Receipts } from "../support/numbered-messages.ts";

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

export function isPoison(number: number): boolean {
  return number % POISON_EVERY === 0;
}

export async function addStreams(client: NatsConnection): Promise<void> {
  const { streams } = await jetstreamManager(client);
  const common = { num_replicas: REPLICAS };
  await streams.add({ ...common, name: STREAM, subjects: ["work.*"] });
  const letters = { discard: "new", max_msgs_per_subject: 1 } as const;
  await streams.add({ ...common, ...letters, name: LETTERS, subjects: ["dlq.>"] });
  await addBucket(client, BUCKET, REPLICAS);
}

export interface Callback extends AsyncDisposable {
  readonly url: string;
  of: (name: Name) => Receipts;
}

/** `note`: what was going on, for the report of an inversion. */
export function startCallback(note: () => string): Callback {
  const books = new Map(WORKS.map(({ name }) => [name as string, createBook(note)]));

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const book = books.get(new URL(request.url).pathname.slice(1));
      const number = Number(await request.text());
      if (book === undefined || !Number.isSafeInteger(number)) return new Response(null, { status: 400 });
      const isFirst = book.note(number, { id: request.headers.get("webhook-id") });
      if (isPoison(number)) return new Response(null, { status: 422 });
      if (isFirst && number % RETRY_EVERY === 0) return new Response(null, { status: 503 });
      book.accept(number);
      return new Response();
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}`,
    of: (name) => books.get(name) ?? createBook(note),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
