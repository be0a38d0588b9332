// `relay logs --follow`: prints deliveries as they are recorded, and reconnects without a gap.
//
//   open -> read events, each with an id -> the stream ends or breaks -> wait -> open after the last id

import { messageOf } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";
import { clean, toSafeLine } from "#lib/printable.ts";
import { deliverySchema, type DeliveryView } from "#wire/delivery.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { formatDelivery } from "./delivery-line.ts";
import { readEvents } from "./event-stream.ts";
import { toQuery } from "./letter-filter.ts";
import type { RemoteCall } from "./remote-command.ts";

const RETRY_MS = 1000;
const UNAVAILABLE = 503;

/** Runs until it is stopped; resolves with 0. `after`: id of the newest delivery already shown; null: none is. */
export async function followDeliveries(
  call: RemoteCall,
  { members, after }: { members: Readonly<Record<string, string | readonly string[]>>; after: string | null },
): Promise<number> {
  const { io, stopping } = call;
  let last = after;
  let isGone = false;
  const note = (id: string | null) => {
    last = id ?? last;
    isGone = false;
  };
  while (!stopping.aborted) {
    const why = await followOnce(call, { members, last, note });
    if (stopping.aborted) break;
    if (why !== null && !isGone) io.stderr(`${clean(why)}; waiting for it\n`);
    isGone ||= why !== null;
    await sleep(RETRY_MS, stopping);
  }
  return 0;
}

/** Why it ended; null: the relay ended it in order. Rejects where no second try can help. */
async function followOnce(
  { client, flags, io, screen }: RemoteCall,
  {
    members,
    last,
    note,
  }: {
    members: Readonly<Record<string, string | readonly string[]>>;
    last: string | null;
    note: (id: string | null) => void;
  },
): Promise<string | null> {
  const path = `api/deliveries/stream${toQuery(members)}`;
  const opened = await client.open(path, last === null ? {} : { "last-event-id": last }).catch(messageOf);
  if (typeof opened === "string") return opened;
  if (opened.kind === "refused") {
    if (opened.status === UNAVAILABLE) return opened.reason;
    expectDone(opened, "follow the deliveries");
    return null;
  }
  const write = (delivery: DeliveryView) =>
    io.stdout(flags["json"] === true ? toSafeLine(delivery) : formatDelivery(delivery, screen));
  try {
    for await (const { id, data } of readEvents(opened.chunks)) {
      if (data !== null) write(parseAnswer(deliverySchema, JSON.parse(data)));
      note(id);
    }
    return null;
  } catch (error) {
    return messageOf(error);
  }
}
