// Queue of one seek: the newest request waits, for 8 s at most, until the subscription can be moved.

import type { DeliverPolicy } from "#delivery/subscription.ts";
import { RelayError } from "#lib/errors.ts";

interface SeekRequest {
  readonly start: DeliverPolicy;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

interface SeekRequests {
  /** Resolves when the seek is done. Rejects with a RelayError. */
  ask: (start: DeliverPolicy) => Promise<void>;
  readonly isAsked: boolean;
  /** Takes the waiting request; null: none waits. */
  take: () => SeekRequest | null;
  /** Refuses the waiting request and all later ones. */
  close: (reason: string) => void;
}

/** From request to start; below the time-out of common HTTP clients. */
const WAIT_MS = 8000;

export function createSeekRequests(): SeekRequests {
  let waiting: SeekRequest | null = null;
  let closedFor: string | null = null;

  function refuse(reason: string): void {
    waiting?.failed(new RelayError("unavailable", `Cannot seek: ${reason}`));
    waiting = null;
  }

  async function ask(start: DeliverPolicy): Promise<void> {
    if (closedFor !== null) throw new RelayError("unavailable", `Cannot seek: ${closedFor}`);
    refuse("a newer seek replaced it");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const request = { start, done: resolve, failed: reject };
    waiting = request;
    const timer = setTimeout(() => {
      if (waiting === request) refuse("the subscription is not ready");
    }, WAIT_MS);
    await promise.finally(() => clearTimeout(timer));
  }

  return {
    ask,
    get isAsked() {
      return waiting !== null;
    },
    take() {
      const request = waiting;
      waiting = null;
      return request;
    },
    close(reason) {
      closedFor ??= reason;
      refuse(reason);
    },
  };
}

/** Runs `move` and settles the request with its result. Never rejects. */
export async function fulfil(
  { start, done, failed }: SeekRequest,
  request: (start: DeliverPolicy) => Promise<void>,
): Promise<void> {
  try {
    await request(start);
    done();
  } catch (error) {
    failed(error);
  }
}
