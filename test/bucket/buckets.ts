// What tests of the bucket share: buckets that are closed with the test, and a look at what the server has.

import { expect } from "bun:test";

import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";

import { type Bucket, type BucketOptions, openBucket } from "#bucket/bucket.ts";

import { connected, type TestConnection } from "../support/nats.ts";

export const WITHIN_A_SECOND = { withinMs: 1000 };

export interface TestBucket extends Bucket, AsyncDisposable {}

export function openTestBucket(connection: TestConnection, options: Partial<BucketOptions> = {}): TestBucket {
  const { logger } = connection;
  const bucket = openBucket(connection, {
    name: "relay",
    logger,
    commandPath: null,
    signer: null,
    ...options,
  });
  return { ...bucket, [Symbol.asyncDispose]: bucket.close };
}

export async function readyBucket(connection: TestConnection): Promise<TestBucket> {
  const bucket = openTestBucket(connection);
  expect(await bucket.ready(AbortSignal.timeout(5000))).toBe(true);
  return bucket;
}

/** The buckets of two relays; `here` is the connection of `one`. */
export async function readyPair(url: string) {
  await using stack = new AsyncDisposableStack();
  const here = stack.use(await connected(url));
  const there = stack.use(await connected(url));
  const one = stack.use(await readyBucket(here));
  const two = stack.use(await readyBucket(there));
  const owned = stack.move();
  return { here, one, two, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export function on(expectedRevision: number) {
  return { expectedRevision, signal: AbortSignal.timeout(5000) };
}

export function valueOf(bucket: Bucket, key: string): string | null {
  return bucket.get(key)?.value ?? null;
}

export async function storedValue(client: NatsConnection, key: string): Promise<string | null> {
  const store = await new Kvm(client).open("relay");
  const entry = await store.get(key);
  return entry === null || entry.operation !== "PUT" ? null : entry.string();
}

export async function consumerCount(client: NatsConnection): Promise<number> {
  const manager = await jetstreamManager(client);
  return (await manager.streams.info("KV_relay")).state.consumer_count;
}
