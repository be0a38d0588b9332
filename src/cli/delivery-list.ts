// `relay logs` and `relay logs export`: prints recorded deliveries, newest last, or saves them.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson, toSafeLine } from "#lib/printable.ts";
import { deliveryPageSchema } from "#wire/delivery.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { toDeliveryFilterMembers } from "./delivery-filter.ts";
import { followDeliveries } from "./delivery-follow.ts";
import { formatDelivery } from "./delivery-line.ts";
import { toQuery } from "./letter-filter.ts";
import { type Flags, type RemoteCall, textOf, textsOf, wholeNumberOf } from "./remote-command.ts";
import { save } from "./save.ts";
import { paint } from "./terminal.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
/** Number of deliveries shown before new ones. */
const FOLLOW_LIMIT = 10;
const FORMATS: ReadonlySet<string> = new Set(["jsonl", "csv"]);

/** Throws a RelayError `usage`. */
export function checkDeliveryList(flags: Flags): void {
  toDeliveryFilterMembers(flags, Date.now());
  limitOf(flags);
  if (flags["follow"] === true && (textOf(flags, "to") ?? textOf(flags, "cursor")) !== null) {
    throw new RelayError("usage", "--follow goes without --to and --cursor");
  }
}

export async function listDeliveries(call: RemoteCall): Promise<number> {
  const { client, flags, io, screen, nowMs } = call;
  const members = toDeliveryFilterMembers(flags, nowMs);
  const cursor = textOf(flags, "cursor");
  const query = { ...members, limit: String(limitOf(flags)), ...(cursor === null ? {} : { cursor }) };
  const answer = await client.ask("GET", `api/deliveries${toQuery(query)}`);
  const value = expectDone(answer, "list the deliveries");
  const { items, next, leftOut } = parseAnswer(deliveryPageSchema, value);
  const isJson = flags["json"] === true;
  if (flags["follow"] === true) {
    for (const item of items.toReversed()) {
      io.stdout(isJson ? toSafeLine(item) : formatDelivery(item, screen));
    }
    return followDeliveries(call, { members, after: items[0]?.id ?? null });
  }
  if (isJson) {
    io.stdout(toSafeJson(value));
    return 0;
  }
  if (items.length === 0 && next === null) io.stdout("No deliveries match.\n");
  if (leftOut > 0) io.stdout(`${paint(screen, "dim", describeLeftOut(leftOut, flags))}\n`);
  if (next !== null) io.stdout(`${paint(screen, "dim", `Older ones with --cursor ${clean(next)}`)}\n`);
  for (const item of items.toReversed()) io.stdout(formatDelivery(item, screen));
  return 0;
}

/** What sampling leaves out has no message. */
function describeLeftOut(leftOut: number, flags: Flags): string {
  const isBound = ["webhookId", "sequence", "subject"].some((name) => textsOf(flags, name).length > 0);
  const count = new Intl.NumberFormat("en").format(leftOut);
  return `${isBound ? "Up to " : ""}${count} successful ${leftOut === 1 ? "delivery is" : "deliveries are"} not recorded (sampling)`;
}

/** Throws a RelayError `usage`. */
export function checkExport(flags: Flags): void {
  toDeliveryFilterMembers(flags, Date.now());
  formatOf(flags);
}

export async function exportDeliveries({ client, flags, io, screen, nowMs }: RemoteCall): Promise<number> {
  const members = toDeliveryFilterMembers(flags, nowMs);
  const format = formatOf(flags);
  const path = textOf(flags, "output");
  if (path === null && screen.width !== null) {
    throw new RelayError("usage", "Cannot write an export to a terminal: use --output, or a pipe");
  }
  const opened = await client.open(`api/deliveries/export${toQuery({ ...members, format })}`);
  if (opened.kind === "refused") expectDone(opened, "export the deliveries");
  else await save(opened.chunks, { path, io });
  return 0;
}

function formatOf(flags: Flags): string {
  const format = textOf(flags, "format") ?? "jsonl";
  if (FORMATS.has(format)) return format;
  throw new RelayError("usage", "--format takes jsonl or csv");
}

function limitOf(flags: Flags): number {
  const limit = wholeNumberOf(flags, { name: "limit", min: 1, max: MAX_LIMIT });
  return limit ?? (flags["follow"] === true ? FOLLOW_LIMIT : DEFAULT_LIMIT);
}
