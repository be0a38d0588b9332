// The readiness as it is told: of thousands of subscriptions in the same trouble some are named.

import type { Readiness } from "./runtime.ts";

const MAX_NAMED = 20;

export function toBriefReadiness({ isReady, reasons, idle }: Readiness): Readiness {
  return { isReady, reasons: shorten(reasons), idle: shorten(idle) };
}

function shorten(texts: readonly string[]): readonly string[] {
  const more = texts.length - MAX_NAMED;
  return more <= 0 ? texts : [...texts.slice(0, MAX_NAMED), `and ${more.toLocaleString("en")} more`];
}
