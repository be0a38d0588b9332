// Shortens a readiness report: names at most 20 reasons, or only counts them.

import { counted } from "#lib/counted.ts";
import { NOT_CONNECTED, type Readiness } from "./runtime.ts";

const MAX_NAMED = 20;

export function toBriefReadiness({ isReady, reasons, idle }: Readiness): Readiness {
  return { isReady, reasons: shorten(reasons), idle: shorten(idle) };
}

/** For callers without a sign-in: the number of reasons, no names. */
export function toCountedReadiness({ isReady, reasons, idle }: Readiness): Readiness {
  const named = reasons.filter((reason) => reason !== NOT_CONNECTED).length;
  return {
    isReady,
    reasons: [
      ...(named === reasons.length ? [] : [NOT_CONNECTED]),
      ...(named === 0 ? [] : [`${counted(named, "reason")}: sign in to read them`]),
    ],
    idle:
      idle.length === 0
        ? []
        : [`${counted(idle.length, "subscription")} failed, paused, stopped or scheduled`],
  };
}

function shorten(texts: readonly string[]): readonly string[] {
  const more = texts.length - MAX_NAMED;
  return more <= 0 ? texts : [...texts.slice(0, MAX_NAMED), `and ${more.toLocaleString("en")} more`];
}
