// Formats a delivery as one line, or as a few where it has no room: date, id, status, subscription, callback, duration, error.

import { clean } from "#lib/printable.ts";
import type { DeliveryView } from "#wire/delivery.ts";
import { wrap } from "./table.ts";
import { cutTo, paint, type Screen, type Style, widthOf } from "./terminal.ts";

const STATUS_WIDTH = 3;
/** Longer ids push the next columns to the right. */
const SUBSCRIPTION_WIDTH = 12;
/** The URL shrinks to this before the rest goes below. */
const MIN_URL_WIDTH = 16;
const GAP = "  ";
const INDENT = "    ";

/** One line where it has room; else the id of the subscription stays whole, and the rest stands below it. */
export function formatDelivery(delivery: DeliveryView, screen: Screen): string {
  const { id, date, status, subscription, callbackUrl, attempts, durationMs, deadLetterId, error } = delivery;
  const answered = paint(screen, styleOf(status), String(status).padStart(STATUS_WIDTH));
  const name = clean(subscription);
  const facts = [
    `${Math.round(durationMs)} ms`,
    describeAttempts(attempts.length),
    deadLetterId !== null ? "dead-lettered" : "",
    clean(error ?? ""),
  ].filter((text) => text !== "");
  const begin = `${clean(date)}${GAP}${paint(screen, "dim", clean(id))}${GAP}${answered}`;
  const width = screen.width ?? Infinity;
  const left = width - widthOf(begin) - GAP.length;
  const who = name + " ".repeat(Math.max(0, SUBSCRIPTION_WIDTH - widthOf(name)));
  const room = left - widthOf([who, "", ...facts].join(GAP));
  const url = clean(callbackUrl);
  if (room >= Math.min(MIN_URL_WIDTH, widthOf(url))) {
    return `${[begin, who, cutTo(url, room), ...facts].join(GAP)}\n`;
  }
  const isBeside = widthOf(name) <= left;
  const below = fillLines([...(isBeside ? [] : [name]), ...facts, url], width - INDENT.length);
  const lines = below.map((line) => `${INDENT}${cutTo(line, Math.max(width - INDENT.length, 1))}\n`);
  return `${begin}${isBeside ? GAP + name : ""}\n${lines.join("")}`;
}

/** As many texts on a line as it holds; only one that is longer than a line is broken, at its spaces. */
function fillLines(texts: readonly string[], width: number): readonly string[] {
  const lines: string[] = [];
  for (const text of texts) {
    const last = lines.at(-1);
    const longer = `${last ?? ""}${GAP}${text}`;
    if (last !== undefined && widthOf(longer) <= width) lines[lines.length - 1] = longer;
    else lines.push(...(widthOf(text) <= width ? [text] : wrap(text, width)));
  }
  return lines;
}

function describeAttempts(count: number): string {
  if (count === 0) return "not sent";
  return count === 1 ? "1 attempt" : `${count} attempts`;
}

export function styleOf(status: number): Style {
  if (status >= 200 && status < 300) return "green";
  return status === 0 || status >= 500 ? "red" : "yellow";
}
