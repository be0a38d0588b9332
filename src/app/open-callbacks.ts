// Tracks the open callbacks of each subscription, including those that are closing.

import type { Callback } from "#callback/client.ts";

export interface OpenCallbacks {
  /** Returns the callback, tracked until it is closed. */
  readonly keep: (subscription: string, callback: Callback) => Callback;
  readonly connectionsOf: (subscription: string) => number;
}

export function createOpenCallbacks(): OpenCallbacks {
  const open = new Map<string, Set<Callback>>();

  return {
    keep(subscription, callback) {
      const own = open.get(subscription) ?? new Set();
      own.add(callback);
      open.set(subscription, own);
      return {
        ...callback,
        async close(graceMs) {
          await callback.close(graceMs);
          own.delete(callback);
          if (own.size === 0 && open.get(subscription) === own) open.delete(subscription);
        },
      };
    },
    connectionsOf(subscription) {
      let connections = 0;
      for (const { stats } of open.get(subscription) ?? []) connections += stats.openConnections;
      return connections;
    },
  };
}
