// A Prometheus counter that costs two map look-ups while it counts: the client library is told when it is scraped.

import { Counter, type Registry } from "prom-client";

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
}

export function createCounts({ name, help, label, registers }: CountsOptions): Counts {
  const counts = new Map<string, Map<string, number>>();
  void new Counter({
    name,
    help,
    labelNames: label === null ? ["subscription"] : ["subscription", label],
    registers,
    collect() {
      this.reset();
      for (const [subscription, kinds] of counts) {
        for (const [kind, count] of kinds) {
          this.inc(label === null ? { subscription } : { subscription, [label]: kind }, count);
        }
      }
    },
  });

  function kindsOf(subscription: string): Map<string, number> {
    const known = counts.get(subscription);
    if (known !== undefined) return known;
    const added = new Map<string, number>();
    counts.set(subscription, added);
    return added;
  }

  return {
    add(subscription, kind, by = 1) {
      const kinds = kindsOf(subscription);
      kinds.set(kind, (kinds.get(kind) ?? 0) + by);
    },
  };
}
