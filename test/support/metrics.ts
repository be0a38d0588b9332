// What a running relay tells of itself: its metrics, its states, its readiness.

import type { RelayProcess } from "./relay.ts";

type Labels = Readonly<Record<string, string>>;

export interface ReadinessAnswer {
  readonly status: number;
  readonly reasons: readonly string[];
  readonly idle: readonly string[];
}

const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The sum of the samples of `name` that have all of `labels`; 0 where there is none. */
export async function readMetric(relay: RelayProcess, name: string, labels: Labels = {}): Promise<number> {
  const text = await (await fetch(`${await relay.url()}/metrics`)).text();
  let sum = 0;
  for (const line of text.split("\n")) {
    const [, sample, labelText = "", value] = SAMPLE.exec(line) ?? [];
    if (sample !== name) continue;
    const found = new Map([...labelText.matchAll(LABEL)].map(([, key, text]) => [key, text] as const));
    if (Object.entries(labels).every(([key, wanted]) => found.get(key) === wanted)) sum += Number(value);
  }
  return sum;
}

/** True if the subscription is in that state and in no other. */
export async function isInState(relay: RelayProcess, subscription: string, state: string): Promise<boolean> {
  const [own, all] = await Promise.all([
    readMetric(relay, "relay_subscription_state", { subscription, state }),
    readMetric(relay, "relay_subscription_state", { subscription }),
  ]);
  return own === 1 && all === 1;
}

export async function readReadiness(relay: RelayProcess): Promise<ReadinessAnswer> {
  const response = await fetch(`${await relay.url()}/readyz`);
  const { reasons, idle } = (await response.json()) as Omit<ReadinessAnswer, "status">;
  return { status: response.status, reasons, idle };
}

/** Of two relays one is active under AT_LEAST_ONCE: the other one runs as well, though it stands by. */
export function runsOrStandsBy({
  state,
  reason,
}: {
  readonly state?: unknown;
  readonly reason?: unknown;
}): boolean {
  return state === "running" || (state === "waiting" && String(reason).startsWith("Stands by for "));
}
