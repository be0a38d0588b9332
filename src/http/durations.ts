// A Prometheus histogram that costs a look-up and a few comparisons while it observes: the client library is told when it is scraped.

import { Histogram, type Registry } from "prom-client";
import { createBySubscription } from "./by-subscription.ts";

interface DurationsOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bounds in seconds, ascending. */
  readonly buckets: readonly number[];
  readonly registers: Registry[];
}

interface Durations {
  readonly observe: (subscription: string, seconds: number) => void;
  /** Forgets the others. */
  readonly retain: (subscriptions: ReadonlySet<string>) => void;
}

interface Observed {
  /** Of each bucket without those below it; the last one is unbounded. */
  readonly counts: number[];
  sum: number;
}

export function createDurations({ name, help, buckets, registers }: DurationsOptions): Durations {
  const observed = createBySubscription((): Observed => ({ counts: [...buckets.map(() => 0), 0], sum: 0 }));
  const histogram = new Histogram({
    name,
    help,
    labelNames: ["subscription"],
    buckets: [...buckets],
    registers,
  });

  /** As the library's own would: the buckets add up. */
  function toValues(subscription: string, { counts, sum }: Observed) {
    let count = 0;
    const bounded = counts.map((inBucket, index) => {
      count += inBucket;
      const labels = { le: buckets[index] ?? "+Inf", subscription };
      return { metricName: `${name}_bucket`, labels, value: count };
    });
    const labels = { subscription };
    return [
      ...bounded,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }

  const get = async () => {
    const values = [...observed.entries()].flatMap(([subscription, of]) => toValues(subscription, of));
    return { name, help, type: "histogram", aggregator: "sum", values };
  };
  // The library's `observe` makes several objects and a hash of all labels, for each value.
  Object.assign(histogram, { get, getForPromString: get });

  return {
    observe(subscription, seconds) {
      const own = observed.of(subscription);
      const { counts } = own;
      let index = 0;
      while (index < buckets.length && seconds > (buckets[index] ?? 0)) index += 1;
      counts[index] = (counts[index] ?? 0) + 1;
      own.sum += seconds;
    },
    retain: observed.retain,
  };
}
