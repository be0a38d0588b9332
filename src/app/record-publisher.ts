// Publishes the records that the delivery log keeps to NATS, as CloudEvents, without holding up a delivery.
//
//   record -> queue of 2000 -> 500 every 50 ms -> <subject>.<host>.<subscription>
//
// What does not fit into the queue, or comes while NATS is away, is dropped and counted: the log on this host has it.

import { toSubjectToken } from "#fleet/subjects.ts";
import type { DeliveryRecord } from "#delivery/record.ts";
import { toDeliveryView } from "#http/delivery-view.ts";
import type { Connection } from "#nats/connection.ts";
import { publishPlain } from "#nats/plain-messages.ts";
import { toEventText } from "./event.ts";

interface PublisherOptions {
  readonly host: string;
  /** Null: nothing is published. */
  readonly subject: () => string | null;
  readonly connection: () => Pick<Connection, "client" | "isConnected">;
}

interface RecordPublisher {
  readonly take: (record: DeliveryRecord) => void;
  /** Number of records that were not published. */
  readonly dropped: () => number;
  readonly close: () => void;
}

const MAX_QUEUED = 2000;
const AT_ONCE = 500;
const EVERY_MS = 50;

export function createRecordPublisher({ host, subject, connection }: PublisherOptions): RecordPublisher {
  let queue: DeliveryRecord[] = [];
  let dropped = 0;
  let timer: NodeJS.Timeout | null = null;

  function publish(records: readonly DeliveryRecord[]): void {
    const prefix = subject();
    if (prefix === null) return;
    for (const record of records) {
      const own = `${prefix}.${toSubjectToken(host)}.${toSubjectToken(record.subscription)}`;
      const isSent = publishPlain(connection(), own, { payload: toEvent(record, host) });
      if (!isSent) dropped += 1;
    }
  }

  function drain(): void {
    timer = null;
    publish(queue.slice(0, AT_ONCE));
    queue = queue.slice(AT_ONCE);
    if (queue.length > 0) timer = setTimeout(drain, EVERY_MS);
  }

  return {
    take(record) {
      if (subject() === null) return;
      if (queue.length >= MAX_QUEUED) {
        dropped += 1;
        return;
      }
      queue.push(record);
      timer ??= setTimeout(drain, EVERY_MS);
    },
    dropped: () => dropped,
    close() {
      if (timer !== null) clearTimeout(timer);
      publish(queue);
      queue = [];
    },
  };
}

/** Without headers and bodies: those stay on the host. */
function toEvent(record: DeliveryRecord, host: string): string {
  const { id: _id, ...data } = toDeliveryView({ ...record, id: 0 }, host);
  return toEventText({ host, type: "relay.delivery", subject: record.subscription, time: data.date, data });
}
