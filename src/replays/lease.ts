// The replay lease: a bucket key that one relay of the cluster holds and renews; only that relay replays.
//
// Clocks of different hosts are never compared: a candidate measures how long the lease has not been renewed.

import type { Bucket } from "#bucket/bucket.ts";

type LeaseBucket = Pick<Bucket, "get" | "write" | "erase">;

export interface Lease {
  /** False once another relay may have taken the lease; `lost` aborts soon after. */
  isCurrent: () => boolean;
  readonly lost: AbortSignal;
  /** Frees the lease for other relays at once. Never rejects. */
  release: () => Promise<void>;
}

interface Leases {
  /** Await each call before the next one. null: another relay has the lease, or the bucket does not answer. Never rejects. */
  take: () => Promise<Lease | null>;
}

const KEY = "replay-lease";
const LEASE_MS = 6000;
const RENEW_MS = 1500;
/** Time without a renewal after which others take the lease. */
const MARGIN_MS = 1500;

/** `owner`: unique to this run of this relay. */
export function createLeases(bucket: LeaseBucket, owner: string): Leases {
  let seen: { readonly revision: number; readonly at: number } | null = null;
  let beat = 0;

  const toValue = () => JSON.stringify({ owner, beat: (beat += 1) });
  const condition = (expectedRevision: number) => ({
    expectedRevision,
    signal: AbortSignal.timeout(RENEW_MS),
  });

  function isOwn(value: string): boolean {
    return value.startsWith(`{"owner":${JSON.stringify(owner)},`);
  }

  async function take(): Promise<Lease | null> {
    const entry = bucket.get(KEY);
    const at = performance.now();
    if (entry !== null && !isOwn(entry.value)) {
      if (seen?.revision !== entry.revision) seen = { revision: entry.revision, at };
      if (at - seen.at < LEASE_MS) return null;
    }
    const result = await bucket.write(KEY, toValue(), condition(entry?.revision ?? 0));
    return result.kind === "written" ? hold(result.revision, at) : null;
  }

  function hold(first: number, takenAt: number): Lease {
    const lost = new AbortController();
    let revision = first;
    let confirmedAt = takenAt;
    let isRenewing = false;

    function isCurrent(): boolean {
      return !lost.signal.aborted && performance.now() - confirmedAt < LEASE_MS - MARGIN_MS;
    }

    async function renew(): Promise<void> {
      if (isRenewing) return;
      isRenewing = true;
      const at = performance.now();
      const result = await bucket.write(KEY, toValue(), condition(revision));
      isRenewing = false;
      if (lost.signal.aborted) return;
      if (result.kind === "written") {
        revision = result.revision;
        confirmedAt = at;
      }
      const entry = bucket.get(KEY);
      if (result.kind === "written" || entry === null) return;
      // A renewal without an answer may have been stored.
      if (isOwn(entry.value)) revision = entry.revision;
      else end();
    }

    function end(): void {
      clearInterval(renewals);
      clearInterval(checks);
      lost.abort();
    }

    const renewals = setInterval(() => void renew(), RENEW_MS); // Never rejects.
    const checks = setInterval(() => {
      if (!isCurrent()) end();
    }, RENEW_MS / 5);
    return {
      isCurrent,
      lost: lost.signal,
      async release() {
        if (lost.signal.aborted) return;
        end();
        await bucket.erase(KEY, condition(revision));
      },
    };
  }

  return { take };
}
