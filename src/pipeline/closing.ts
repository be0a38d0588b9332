// Closes a pipeline in steps: ends the waits, later the requests, last the storing of dead letters.

export interface ClosingSignals {
  /** Ends every wait: for a slot, for a retry, for a dead-letter endpoint. */
  readonly closing: AbortSignal;
  /** Aborts requests for messages that the stream will deliver again. */
  readonly redeliverable: AbortSignal;
  /** Aborts requests for messages that nothing will deliver again. */
  readonly final: AbortSignal;
  /** Aborts storing their dead letters, their last copy. */
  readonly letters: AbortSignal;
}

interface Closing {
  readonly signals: ClosingSignals;
  /** Ends every wait. */
  begin: () => void;
  /** Another relay may hold the redeliverable messages. */
  disown: () => void;
  /** Aborts requests in `graceMs`. Returns a function that cancels that. */
  endAfter: (graceMs: number) => () => void;
}

/** Extra time for dead letters after the grace period; well below systemd's stop timeout. */
const LAST_LETTERS_MS = 3000;

export function createClosing(): Closing {
  const closing = new AbortController();
  const redeliverable = new AbortController();
  const final = new AbortController();
  const letters = new AbortController();

  return {
    signals: {
      closing: closing.signal,
      redeliverable: redeliverable.signal,
      final: final.signal,
      letters: letters.signal,
    },
    begin: () => closing.abort(),
    disown: () => redeliverable.abort(),
    endAfter(graceMs) {
      const requests = setTimeout(() => {
        redeliverable.abort();
        final.abort();
      }, graceMs);
      const last = setTimeout(() => letters.abort(), graceMs + LAST_LETTERS_MS);
      return () => {
        clearTimeout(requests);
        clearTimeout(last);
      };
    },
  };
}
