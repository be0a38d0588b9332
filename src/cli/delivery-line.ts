// Formats a delivery as one line: date, id, status, subscription, callback, duration, error.

import { clean } from "#lib/printable.ts";
import type { DeliveryView } from "#wire/delivery.ts";
import { cutTo, paint, type Screen, type Style, widthOf } from "./terminal.ts";

const STATUS_WIDTH = 3;
/** Longer ids push the next columns to the right. */
const SUBSCRIPTION_WIDTH = 12;
/** The URL shrinks to this before the line is cut. */
const MIN_URL_WIDTH = 16;
const GAP = "  ";

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
  const begin = `${clean(date)}${GAP}${paint(screen, "dim", clean(id))}${GAP}`;
  const left = (screen.width ?? Infinity) - widthOf(begin) - STATUS_WIDTH - GAP.length;
  const who = name + " ".repeat(Math.max(0, SUBSCRIPTION_WIDTH - widthOf(name)));
  const beside = widthOf([who, "", ...facts].join(GAP));
  const url = cutTo(clean(callbackUrl), Math.max(left - beside, MIN_URL_WIDTH));
  const line = cutTo([who, url, ...facts].join(GAP), Math.max(left, 1));
  return `${begin}${answered}${GAP}${line}\n`;
}

function describeAttempts(count: number): string {
  if (count === 0) return "not sent";
  return count === 1 ? "1 attempt" : `${count} attempts`;
}

export function styleOf(status: number): Style {
  if (status >= 200 && status < 300) return "green";
  return status === 0 || status >= 500 ? "red" : "yellow";
}
