// Formats the state of the relay as the one line that `systemctl status` shows.

import { clean } from "#lib/printable.ts";
import type { Readiness } from "#runtime/runtime.ts";

interface StatusLineFacts {
  readonly readiness: Readiness;
  /** The kind of state of each subscription. */
  readonly states: readonly string[];
  /** Why the last config was refused; null: it was not. */
  readonly refused: string | null;
}

const MAX_LENGTH = 300;

export function toStatusLine({ readiness, states, refused }: StatusLineFacts): string {
  const { isReady, reasons } = readiness;
  const more = reasons.length > 1 ? ` (and ${reasons.length - 1} more)` : "";
  const parts = [
    isReady ? "Ready" : `Not ready: ${reasons[0] ?? "unknown"}${more}`,
    countStates(states),
    ...(refused === null ? [] : [`config refused: ${refused.split("\n").join(" ")}`]),
  ];
  const line = clean(parts.join("; "));
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH - 1)}…` : line;
}

function countStates(states: readonly string[]): string {
  if (states.length === 0) return "no subscriptions";
  const kinds = [...new Set(states)].sort();
  return kinds.map((kind) => `${states.filter((state) => state === kind).length} ${kind}`).join(", ");
}
