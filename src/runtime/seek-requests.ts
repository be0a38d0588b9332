// Seeks that wait until the subscription can be moved: one at a time, the newest one, and not for ever.

import type { DeliverPolicy } from "#delivery/subscription.ts";
import { RelayError } from "#lib/errors.ts";

interface Move {
  readonly start: DeliverPolicy;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

interface Moves {
  /** Resolves when it was done. Rejects with a RelayError. */
  ask: (start: DeliverPolicy) => Promise<void>;
  readonly isAsked: boolean;
  /** What is to be done now; null: nothing. */
  take: () => Move | null;
  /** Nothing will be moved any more. */
  close: (reason: string) => void;
}

/** From being asked to being begun; shorter than an HTTP client's patience. */
const WAIT_MS = 8000;

export function createMoves(): Moves {
  let waiting: Move | null = null;
  let closedFor: string | null = null;

  function refuse(reason: string): void {
    waiting?.failed(new RelayError("unavailable", `Cannot seek: ${reason}`));
    waiting = null;
  }

  async function ask(start: DeliverPolicy): Promise<void> {
    if (closedFor !== null) throw new RelayError("unavailable", `Cannot seek: ${closedFor}`);
    refuse("another seek took its place");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const move = { start, done: resolve, failed: reject };
    waiting = move;
    const timer = setTimeout(() => {
      if (waiting === move) refuse("the subscription is not ready for it");
    }, WAIT_MS);
    await promise.finally(() => clearTimeout(timer));
  }

  return {
    ask,
    get isAsked() {
      return waiting !== null;
    },
    take() {
      const move = waiting;
      waiting = null;
      return move;
    },
    close(reason) {
      closedFor ??= reason;
      refuse(reason);
    },
  };
}

/** Whoever asked hears how it ended. Never rejects. */
export async function carryOut(
  { start, done, failed }: Move,
  move: (start: DeliverPolicy) => Promise<void>,
): Promise<void> {
  try {
    await move(start);
    done();
  } catch (error) {
    failed(error);
  }
}
