// How a closing pipeline ends what is under way: first what waits, later the requests, last the letters of what would be lost.

export interface ClosingSignals {
  /** Whatever waits, for a slot, a retry, or for dead letters to be taken, waits no longer. */
  readonly closing: AbortSignal;
  /** Ends requests for messages that the stream would deliver again. */
  readonly redeliverable: AbortSignal;
  /** Ends requests for messages that nothing would deliver again. */
  readonly final: AbortSignal;
  /** Ends the storing of their letters, which is all that is left of them. */
  readonly letters: AbortSignal;
}

interface Closing {
  readonly signals: ClosingSignals;
  /** Nothing waits any longer. */
  begin: () => void;
  /** Others may hold what is redeliverable. */
  disown: () => void;
  /** Requests are ended `graceMs` from now. Returns how to call that off. */
  endAfter: (graceMs: number) => () => void;
}

/** After the grace period, for letters only; well below what systemd grants. */
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
