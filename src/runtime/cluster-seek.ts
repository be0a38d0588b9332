// The place of a subscription in its stream: a seek moves it, here or in another relay, and what was done before may come again.
//
// The relay that moves it says so in the bucket before it touches the consumer. The others let go of it, and take it up again
// when that relay has said that it ended; if it never does, for it died, one of them says it in its place. A relay whose
// consumer is gone looks at what is stored before it makes one again: it may not have heard of a move yet.

import type { DeliverPolicy } from "#delivery/subscription.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";
import { startTicks } from "#lib/ticks.ts";
import type { AlignedConsumer } from "#consumer/consumer.ts";
import type { ConsumerReading } from "#consumer/info.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { MoveMark, MoveMarks } from "./seek-marks.ts";

export interface Place {
  /** Another relay moves it: the consumer is not to be touched. */
  readonly isBeingMoved: boolean;
  /** Another relay has moved it, or has tried to. */
  readonly isMovedElsewhere: boolean;
  /** From now on it is known here where it was moved last. */
  adopt: () => void;
  /** Reads what is stored: is it being moved, or was it? False also where that cannot be read. */
  isTakenElsewhere: () => Promise<boolean>;
  /** While it is being moved: until something changes, which aborts `signal`, or the relay that moves it counts as dead. */
  waitForMove: (signal: AbortSignal) => Promise<void>;
  /** After it was moved elsewhere. Rejects with a RelayError: not yet. */
  follow: (guard: Guard) => Promise<void>;
  /** To be called while nothing is held. Rejects with a RelayError. */
  move: (start: DeliverPolicy, guard: Guard) => Promise<void>;
}

interface PlaceOptions {
  readonly marks: MoveMarks;
  /** Makes the consumer anew at another place. Rejects with a RelayError. */
  readonly moveConsumer: (start: DeliverPolicy) => Promise<AlignedConsumer>;
  /** null: there is none. Rejects with a RelayError. */
  readonly readConsumer: () => Promise<Pick<ConsumerReading, "waiting"> | null>;
  readonly signal: AbortSignal;
  /** Of this process. */
  readonly owner?: string;
  readonly beatMs?: number;
  /** After which without a sign of life a relay that moves it counts as dead. */
  readonly deadMs?: number;
}

/** A relay that moves it says so often that it lives. */
const BEAT_MS = 2000;
/** A relay that gives no sign of life for so long has died, or has lost NATS. On this relay's own clock. */
const DEAD_MS = 10_000;
/** How long a seek waits for another one to end. */
const CLAIM_MS = 8000;
const CLAIM_AGAIN_MS = 200;
/** How long the other relays have to let go of the consumer; then it is moved all the same. */
const LET_GO_MS = 3000;
const LOOK_AGAIN_MS = 50;
const READ_AGAIN_MS = 1000;
const OWN = crypto.randomUUID();

export function createPlace(options: PlaceOptions): Place {
  const { marks, moveConsumer, readConsumer, signal, owner = OWN } = options;
  const { beatMs = BEAT_MS, deadMs = DEAD_MS } = options;
  /** The last move that the guard knows of. */
  let known: string | null = null;
  /** Since when this relay sees the last sign of life of another one that moves it. */
  let seen: { readonly id: string; readonly beat: number; readonly at: number } | null = null;

  function isForeign(mark: MoveMark | null): mark is MoveMark {
    return mark !== null && mark.phase === "moving" && mark.by !== owner;
  }

  const place: Place = {
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
      return place.isBeingMoved || place.isMovedElsewhere;
    },
    async waitForMove(changed) {
      const mark = marks.current;
      if (!isForeign(mark)) return;
      const { id, beat } = mark;
      if (seen?.id !== id || seen.beat !== beat) seen = { id, beat, at: performance.now() };
      if (!(await sleep(Math.max(0, seen.at + deadMs - performance.now()), changed))) return;
      await bury(mark).catch(() => sleep(READ_AGAIN_MS, changed));
    },
    async follow(guard) {
      const mark = marks.current;
      if (mark === null) return;
      // Where none was made, it is made again at the place that is known here.
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

  /** Says that a move has ended whose relay does not say it. */
  async function bury(mark: MoveMark): Promise<void> {
    const { mark: current, revision } = await marks.read();
    if (current?.id !== mark.id || current.phase !== "moving" || current.beat !== mark.beat) return;
    await marks.claim({ ...mark, phase: "abandoned" }, { expectedRevision: revision, signal });
  }

  async function claim(): Promise<MoveMark> {
    const mark = { id: crypto.randomUUID(), phase: "moving", by: owner, beat: 0 } as const;
    const deadline = performance.now() + CLAIM_MS;
    for (;;) {
      const { mark: current, revision } = await marks.read().catch(refuse);
      const isFree = !isForeign(current);
      if (isFree && (await marks.claim(mark, { expectedRevision: revision, signal }).catch(refuse)))
        return mark;
      const isElapsed = performance.now() > deadline || !(await sleep(CLAIM_AGAIN_MS, signal));
      if (isElapsed) throw new RelayError("unavailable", "Cannot seek: another relay moves the subscription");
    }
  }

  /** A relay that lets go asks for no message any more, which the server knows. */
  async function othersLetGo(): Promise<void> {
    const deadline = performance.now() + LET_GO_MS;
    for (;;) {
      const consumer = await readConsumer();
      if (consumer === null || consumer.waiting === 0 || performance.now() > deadline) return;
      if (!(await sleep(LOOK_AGAIN_MS, signal)))
        throw new RelayError("unavailable", "Cannot seek: it is stopped");
    }
  }

  return place;
}

function refuse(error: unknown): never {
  throw new RelayError("unavailable", `Cannot seek: ${messageOf(error)}`, { cause: error });
}
