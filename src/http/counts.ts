// A Prometheus counter that costs two map look-ups while it counts: the client library is told when it is scraped.

import { Counter, type Registry } from "prom-client";
import { createBySubscription } from "./by-subscription.ts";

export interface CountsOptions {
  readonly name: string;
  readonly help: string;
  /** The label beside `subscription`; null: there is none. */
  readonly label: string | null;
  readonly registers: Registry[];
}

export interface Counts {
  /** `kind` is the value of the label. */
  add: (subscription: string, kind: string, by?: number) => void;
  /** Forgets the others. */
  retain: (subscriptions: ReadonlySet<string>) => void;
}

export function createCounts({ name, help, label, registers }: CountsOptions): Counts {
  const counts = createBySubscription(() => new Map<string, number>());
  void new Counter({
    name,
    help,
    labelNames: label === null ? ["subscription"] : ["subscription", label],
    registers,
    collect() {
      this.reset();
      for (const [subscription, kinds] of counts.entries()) {
        for (const [kind, count] of kinds) {
          this.inc(label === null ? { subscription } : { subscription, [label]: kind }, count);
        }
      }
    },
  });

  return {
    add(subscription, kind, by = 1) {
      const kinds = counts.of(subscription);
      kinds.set(kind, (kinds.get(kind) ?? 0) + by);
    },
    retain: counts.retain,
  };
}
