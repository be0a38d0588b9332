// Limits what runs at once, per tenant and in total: requests, tests of callbacks, streams.

interface Slots {
  readonly ofTenant: number;
  /** Takes one until `over` aborts; false: the tenant has as many as it may, or there is none left. */
  readonly take: (tenant: string, over: AbortSignal) => boolean;
}

/** Kept across reloads, which create new routes. */
export interface ServerSlots {
  readonly requests: Slots;
  readonly tests: Slots;
  readonly streams: Slots;
}

export function createServerSlots(): ServerSlots {
  return {
    requests: createSlots({ ofTenant: 256, inAll: Infinity }), // The listener limits the connections.
    tests: createSlots({ ofTenant: 10, inAll: 100 }), // Each holds its body, and that of the answer.
    streams: createSlots({ ofTenant: 25, inAll: 100 }),
  };
}

function createSlots({ ofTenant, inAll }: { ofTenant: number; inAll: number }): Slots {
  const taken = new Map<string, number>();
  let all = 0;

  function release(tenant: string): void {
    all -= 1;
    const left = (taken.get(tenant) ?? 1) - 1;
    if (left === 0) taken.delete(tenant);
    else taken.set(tenant, left);
  }

  return {
    ofTenant,
    take(tenant, over) {
      const own = taken.get(tenant) ?? 0;
      if (own >= ofTenant || all >= inAll) return false;
      all += 1;
      taken.set(tenant, own + 1);
      if (over.aborted) release(tenant);
      else over.addEventListener("abort", () => release(tenant), { once: true });
      return true;
    },
  };
}
