// Limits the requests that come over NATS: in all, from each caller, and per second.

interface Limits {
  /** False: too many. */
  readonly take: (caller: string) => boolean;
  readonly release: (caller: string) => void;
  /** Whether one more message may be looked at. */
  readonly mayLook: () => boolean;
}

const IN_ALL = 64;
const OF_CALLER = 16;
const PER_SECOND = 500;

/** `now`: in ms, monotonic. */
export function createLimits(now: () => number): Limits {
  const taken = new Map<string, number>();
  let all = 0;
  let tokens = PER_SECOND;
  let filledAt = now();
  return {
    take(caller) {
      const own = taken.get(caller) ?? 0;
      if (all >= IN_ALL || own >= OF_CALLER) return false;
      all += 1;
      taken.set(caller, own + 1);
      return true;
    },
    release(caller) {
      all -= 1;
      const left = (taken.get(caller) ?? 1) - 1;
      if (left === 0) taken.delete(caller);
      else taken.set(caller, left);
    },
    mayLook() {
      const at = now();
      tokens = Math.min(PER_SECOND, tokens + ((at - filledAt) / 1000) * PER_SECOND);
      filledAt = at;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
