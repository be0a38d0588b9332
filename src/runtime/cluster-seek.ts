// Coordinates a seek across the relays of the cluster: moves the subscription's consumer to another position in its stream.
//
// The relay that seeks writes a mark to the bucket before it touches the consumer. The others stop pulling, and start again
// when the mark says that the seek ended. If that relay died, another one marks the seek as abandoned. A relay whose consumer
// is gone reads the mark before it re-creates the consumer: it may not have received the newest mark yet.

import type { DeliverPolicy } from "#delivery/subscription.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";
import { startTicks } from "#lib/ticks.ts";
import type { AlignedConsumer } from "#consumer/consumer.ts";
import type { ConsumerReading } from "#consumer/info.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { SeekMark, SeekMarks } from "./seek-marks.ts";

export interface ClusterSeek {
  /** Another relay is seeking: do not touch the consumer. */
  readonly isBeingMoved: boolean;
  /** Another relay has moved the consumer, or has tried to. */
  readonly isMovedElsewhere: boolean;
  /** Takes the current mark as known: the guard matches it. */
  adopt: () => void;
  /** Reads the stored mark: is another relay seeking, or has it? False also if the mark cannot be read. */
  isTakenElsewhere: () => Promise<boolean>;
  /** Waits while another relay seeks: until `signal` aborts, or that relay counts as dead. */
  waitForMove: (signal: AbortSignal) => Promise<void>;
  /** Adopts a seek of another relay: clears the guard. Rejects with a RelayError if it has to be tried again. */
  follow: (guard: Guard) => Promise<void>;
  /** Seeks. Call it while no message is held. Rejects with a RelayError. */
  move: (start: DeliverPolicy, guard: Guard) => Promise<void>;
}

interface ClusterSeekOptions {
  readonly marks: SeekMarks;
  /** Re-creates the consumer at another position. Rejects with a RelayError. */
  readonly moveConsumer: (start: DeliverPolicy) => Promise<AlignedConsumer>;
  /** null: it does not exist. Rejects with a RelayError. */
  readonly readConsumer: () => Promise<Pick<ConsumerReading, "waiting"> | null>;
  readonly signal: AbortSignal;
  /** Id of this process. */
  readonly owner?: string;
  readonly beatMs?: number;
  /** A relay that seeks without a heartbeat for this long counts as dead. */
  readonly deadMs?: number;
}

/** Heartbeat interval of the relay that seeks. */
const BEAT_MS = 2000;
/** Without a heartbeat for this long, by this relay's own clock, the other relay has died or lost NATS. */
const DEAD_MS = 10_000;
/** How long a seek waits for another one to end. */
const CLAIM_MS = 8000;
const CLAIM_AGAIN_MS = 200;
/** How long to wait for the other relays to stop pulling; then the consumer is moved anyway. */
const LET_GO_MS = 3000;
const LOOK_AGAIN_MS = 50;
const READ_AGAIN_MS = 1000;
const OWN = crypto.randomUUID();

export function createClusterSeek(options: ClusterSeekOptions): ClusterSeek {
  const { marks, moveConsumer, readConsumer, signal, owner = OWN } = options;
  const { beatMs = BEAT_MS, deadMs = DEAD_MS } = options;
  /** Id of the last seek that the guard knows of. */
  let known: string | null = null;
  /** The last heartbeat of another relay's seek, and when this relay first saw it. */
  let seen: { readonly id: string; readonly beat: number; readonly at: number } | null = null;

  function isForeign(mark: SeekMark | null): mark is SeekMark {
    return mark !== null && mark.phase === "moving" && mark.by !== owner;
  }

  const clusterSeek: ClusterSeek = {
    get isBeingMoved() {
      return isForeign(marks.current);
    },
    get isMovedElsewhere() {
      const mark = marks.current;
      return mark !== null && mark.phase !== "moving" && mark.id !== known;
    },
    adopt() {
      const mark = marks.current;
      known = mark === null || mark.phase === "moving" ? null : mark.id;
    },
    async isTakenElsewhere() {
      await marks.read().catch(() => undefined);
      return clusterSeek.isBeingMoved || clusterSeek.isMovedElsewhere;
    },
    async waitForMove(changed) {
      const mark = marks.current;
      if (!isForeign(mark)) return;
      const { id, beat } = mark;
      if (seen?.id !== id || seen.beat !== beat) seen = { id, beat, at: performance.now() };
      if (!(await sleep(Math.max(0, seen.at + deadMs - performance.now()), changed))) return;
      await abandon(mark).catch(() => sleep(READ_AGAIN_MS, changed));
    },
    async follow(guard) {
      const mark = marks.current;
      if (mark === null) return;
      // If the other relay made no consumer, this one re-creates it at the known position.
      if (mark.phase === "moved" || (await readConsumer()) !== null) await guard.forget();
      known = mark.id;
    },
    async move(start, guard) {
      const mark = await claim();
      let { beat } = mark;
      const endBeats = startTicks(beatMs, () => marks.renew({ ...mark, beat: (beat += 1) }));
      try {
        await othersLetGo();
        const moved = await moveConsumer(start);
        await guard.forget();
        await guard.align(moved);
      } catch (error) {
        marks.end({ ...mark, phase: "abandoned" });
        throw error;
      } finally {
        endBeats();
      }
      known = mark.id;
      marks.end({ ...mark, phase: "moved" });
    },
  };

  /** Marks the seek of a dead relay as abandoned. */
  async function abandon(mark: SeekMark): Promise<void> {
    const { mark: current, revision } = await marks.read();
    if (current?.id !== mark.id || current.phase !== "moving" || current.beat !== mark.beat) return;
    await marks.claim({ ...mark, phase: "abandoned" }, { expectedRevision: revision, signal });
  }

  async function claim(): Promise<SeekMark> {
    const mark = { id: crypto.randomUUID(), phase: "moving", by: owner, beat: 0 } as const;
    const deadline = performance.now() + CLAIM_MS;
    for (;;) {
      const { mark: current, revision } = await marks.read().catch(refuse);
      const isFree = !isForeign(current);
      if (isFree && (await marks.claim(mark, { expectedRevision: revision, signal }).catch(refuse)))
        return mark;
      const isElapsed = performance.now() > deadline || !(await sleep(CLAIM_AGAIN_MS, signal));
      if (isElapsed)
        throw new RelayError("unavailable", "Cannot seek: another relay is seeking this subscription");
    }
  }

  /** Waits until no relay has a pull request open on the server. */
  async function othersLetGo(): Promise<void> {
    const deadline = performance.now() + LET_GO_MS;
    for (;;) {
      const consumer = await readConsumer();
      if (consumer === null || consumer.waiting === 0 || performance.now() > deadline) return;
      if (!(await sleep(LOOK_AGAIN_MS, signal)))
        throw new RelayError("unavailable", "Cannot seek: the subscription was stopped");
    }
  }

  return clusterSeek;
}

function refuse(error: unknown): never {
  throw new RelayError("unavailable", `Cannot seek: ${messageOf(error)}`, { cause: error });
}
