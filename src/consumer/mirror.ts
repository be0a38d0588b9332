// Tells whether a mirror has everything that its origin has, before Relay believes that messages are gone.
//
// A mirror that is made anew, or whose server starts again, first connects to its origin and then receives. In between, the server
// reports no lag: the lag is known with the first message. Without messages, the origin sends a heartbeat each second.

import { sleep } from "#lib/sleep.ts";

import type { Connection } from "#nats/connection.ts";
import { readStream, type StreamRef } from "#nats/stream.ts";

const NANOS_PER_MS = 1_000_000;
const LOOK_AGAIN_MS = 200;
/** Longer than the time in which an origin that is there was heard often enough. */
const PATIENCE_MS = 5000;
/** The first may be the connection itself. */
const NEEDED_SIGNS = 2;

/**
 * True if the mirror heard from its origin, and more than once, while it had no lag. False: not yet, or its origin is away; ask
 * again later. The stream's state is known to be that of the origin only in answers that come after this one. Throws RelayError
 * `nats-unavailable`.
 */
export async function hasCaughtUp(
  connection: Connection,
  ref: StreamRef,
  signal: AbortSignal,
): Promise<boolean> {
  const startedAt = performance.now();
  /** The latest time at which it can have heard last. */
  let heardBy = Number.POSITIVE_INFINITY;
  let signs = 0;
  while (performance.now() - startedAt < PATIENCE_MS) {
    const askedAt = performance.now();
    const info = await readStream(connection, ref);
    const answeredAt = performance.now();
    if (info === null) return false;
    const { mirror } = info;
    if (mirror === undefined) return true;
    if (mirror.lag > 0 || mirror.active < 0) return false;
    const silenceMs = mirror.active / NANOS_PER_MS;
    if (askedAt - silenceMs > heardBy) signs += 1;
    if (signs >= NEEDED_SIGNS) return true;
    heardBy = answeredAt - silenceMs;
    if (!(await sleep(LOOK_AGAIN_MS, signal))) return false;
  }
  return false;
}
