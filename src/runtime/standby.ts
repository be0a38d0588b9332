// Lets one relay at a time consume an ordered subscription: takes its seat, or stands by for the relay that has it.
//
//   standing by --seat taken--> active --lost, or released at the end--> standing by
//        '--nobody can say who has it--> one by one: the server keeps the order --the bucket can be used--> standing by

import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import type { Seat, SeatHolder } from "./seats.ts";

/** The time in which this relay may consume. */
interface Stretch {
  /** The server has to keep the order, one message at a time: other relays may consume as well. */
  readonly isOneByOne: boolean;
  /** Another relay may consume now. */
  readonly lost: AbortSignal;
  /** Frees the seat for others at once. Call it when nothing is held any more. Never rejects. */
  readonly end: () => Promise<void>;
}

interface Standby {
  /** Waits until this relay may consume. Null: `signal` aborted. Never rejects. */
  begin: (signal: AbortSignal) => Promise<Stretch | null>;
  /** What it waits for, for people; null: it does not wait. `isFault`: no other relay is known to deliver meanwhile. */
  readonly waiting: { readonly reason: string; readonly isFault: boolean } | null;
  /** Why the server has to keep the order, one message at a time; null: it has not. */
  readonly oneByOne: string | null;
  active: () => SeatHolder | null;
}

interface StandbyOptions {
  /** Null: any number of relays may consume. */
  readonly seat: Seat | null;
  /** Resolves with false when `signal` aborts before NATS is connected. */
  readonly connected: (signal: AbortSignal) => Promise<boolean>;
  readonly logger: Logger;
  /** A stretch without a seat is to end: the bucket can be used. */
  readonly onUsable: () => void;
}

const NEVER = new AbortController().signal;
const ALL: Stretch = { isOneByOne: false, lost: NEVER, end: () => Promise.resolve() };
const LOOK_AGAIN_MS = 5000;

export function createStandby({ seat, connected, logger, onUsable }: StandbyOptions): Standby {
  let isWaiting = false;
  let oneByOne: string | null = null;
  let isTold = false;

  async function take(own: Seat, signal: AbortSignal): Promise<Stretch | null> {
    if (!(await connected(signal))) return null;
    const before = own.holder();
    const result = await own.take(signal);
    if (result === null) return null;
    if (result.kind === "unusable") return goOneByOne(own, result.reason);
    if (oneByOne !== null) logger.info("Delivers more than one message at a time again");
    oneByOne = null;
    if (before?.isHere === false) logger.info("Takes the subscription over", { from: before.host });
    const { lost, release } = result.tenure;
    return { isOneByOne: false, lost, end: release };
  }

  function goOneByOne(own: Seat, reason: string): Stretch {
    oneByOne = reason;
    if (!isTold)
      logger.warn("Delivers one message at a time: the bucket cannot say which relay is active", { reason });
    isTold = true;
    const ended = new AbortController();
    void watch(own, ended.signal); // Never rejects.
    return {
      isOneByOne: true,
      lost: NEVER,
      end() {
        ended.abort();
        return Promise.resolve();
      },
    };
  }

  async function watch(own: Seat, signal: AbortSignal): Promise<void> {
    while (await sleep(LOOK_AGAIN_MS, signal)) if (await own.isUsable()) return onUsable();
  }

  return {
    async begin(signal) {
      if (seat === null) return ALL;
      isWaiting = true;
      const stretch = await take(seat, signal);
      isWaiting = false;
      return stretch;
    },
    get waiting() {
      if (!isWaiting || seat === null) return null;
      const holder = seat.holder();
      if (holder === null || holder.isHere)
        return { reason: "Asks the other relays whether it may deliver", isFault: true };
      return { reason: `Stands by for ${holder.host}, which is active`, isFault: false };
    },
    get oneByOne() {
      return oneByOne;
    },
    active: () => seat?.holder() ?? null,
  };
}
