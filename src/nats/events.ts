// What Relay tells others over NATS, outside of any stream.

import type { Connection } from "./connection.ts";

/** Sends now or never: an event that nobody hears is gone. */
export function publishEvent(connection: Connection, subject: string, payload: string): void {
  connection.publish(subject, payload);
}
