// Counts the deliveries that sampling did not record, until the delivery log stores the counts.

/** The destination of a delivery that was not recorded. Pass the same object as long as the settings stay the same. */
export interface LeftOutOrigin {
  readonly subscription: string;
  readonly entrypoint: string;
  readonly application: string | null;
  readonly callbackUrl: string;
}

export interface LeftOut extends LeftOutOrigin {
  readonly status: number;
  readonly count: number;
}

interface LeftOutCounts {
  /** Called on the hot path. */
  add: (origin: LeftOutOrigin, status: number) => void;
  readonly isEmpty: () => boolean;
  readonly list: () => readonly LeftOut[];
  clear: () => void;
}

export function createLeftOutCounts(): LeftOutCounts {
  const counts = new Map<LeftOutOrigin, Map<number, number>>();

  return {
    add(origin, status) {
      let ofOrigin = counts.get(origin);
      if (ofOrigin === undefined) {
        ofOrigin = new Map();
        counts.set(origin, ofOrigin);
      }
      ofOrigin.set(status, (ofOrigin.get(status) ?? 0) + 1);
    },
    isEmpty: () => counts.size === 0,
    list: () =>
      [...counts].flatMap(([origin, ofOrigin]) =>
        Array.from(ofOrigin, ([status, count]) => ({ ...origin, status, count })),
      ),
    clear: () => counts.clear(),
  };
}
