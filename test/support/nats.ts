// What tests of the NATS room share: a connection that is closed with the test, streams, messages, a log to look at.

import { jetstream, jetstreamManager, type JetStreamManager, type StreamConfig } from "@nats-io/jetstream";
import { headers as createHeaders, type NatsConnection } from "@nats-io/transport-node";

import type { LogFields, Logger } from "#lib/logger.ts";
import { type Connection, openConnection } from "#nats/connection.ts";
import type { NatsSettings } from "#nats/settings.ts";

import { eventually } from "./eventually.ts";

export interface LoggedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface RecordingLogger extends Logger {
  readonly lines: readonly LoggedLine[];
}

export function createRecordingLogger(): RecordingLogger {
  const lines: LoggedLine[] = [];
  const log =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields });
    };
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    isEnabled: () => true,
    lines,
  };
}

export interface TestConnection extends Connection, AsyncDisposable {
  readonly logger: RecordingLogger;
}

export function natsSettings(servers: readonly string[], changes: Partial<NatsSettings> = {}): NatsSettings {
  return {
    servers,
    auth: { kind: "none" },
    tls: null,
    inboxPrefix: "_INBOX",
    name: "relay-test",
    ...changes,
  };
}

/** Not waited for: `connected` does. */
export function openTestConnection(
  url: string | readonly string[],
  changes: Partial<NatsSettings> = {},
): TestConnection {
  const logger = createRecordingLogger();
  const settings = natsSettings(typeof url === "string" ? [url] : url, changes);
  const connection = openConnection(settings, { logger, signal: new AbortController().signal });
  return Object.defineProperties({} as TestConnection, {
    ...Object.getOwnPropertyDescriptors(connection),
    logger: { value: logger },
    [Symbol.asyncDispose]: { value: connection.close },
  });
}

/** An open connection that is up. */
export async function connected(
  url: string | readonly string[],
  changes: Partial<NatsSettings> = {},
): Promise<TestConnection> {
  const connection = openTestConnection(url, changes);
  if (await connection.ready(AbortSignal.timeout(10_000))) return connection;
  await connection.close();
  throw new Error(`Not connected: ${connection.status().lastError ?? "no reason given"}`);
}

/** A file stream; `ORDERS` with `orders.>` unless told otherwise. */
export async function addStream(client: NatsConnection, config: Partial<StreamConfig> = {}): Promise<void> {
  const manager = await jetstreamManager(client);
  await manager.streams.add({ name: "ORDERS", subjects: ["orders.>"], ...config });
}

/** Bodies are `1`, `2`, … */
export async function publishMany(client: NatsConnection, subject: string, count: number): Promise<void> {
  const js = jetstream(client);
  for (let i = 1; i <= count; i += 1) await js.publish(subject, String(i));
}

/** Gone is what counts: nats-server 2.9 may delete it and answer that a file of it was in the way. */
export async function removeConsumer(
  { consumers }: JetStreamManager,
  { stream, durable }: { stream: string; durable: string },
): Promise<void> {
  try {
    await consumers.delete(stream, durable);
  } catch (error) {
    if (!(error instanceof Error) || !/directory not empty|consumer not found/u.test(error.message))
      throw error;
  }
}

/** Of a stream that keeps markers, which needs nats-server 2.11. */
export const MARKER_CONFIG: Partial<StreamConfig> = {
  allow_msg_ttl: true,
  subject_delete_marker_ttl: 3_600_000_000_000,
};

/** Publishes a message on each of `subjects`, and waits until the server has put a marker in the place of each. */
export async function leaveMarkers(client: NatsConnection, stream: string, subjects: readonly string[]) {
  const manager = await jetstreamManager(client);
  const headers = createHeaders();
  headers.set("Nats-TTL", "1s");
  for (const subject of subjects) await jetstream(client).publish(subject, "short-lived", { headers });
  for (const subject of subjects) {
    await eventually(
      async () => {
        const last = await manager.streams.getMessage(stream, { last_by_subj: subject });
        return last?.header.has("Nats-Marker-Reason") === true;
      },
      { what: `a marker on ${subject}` },
    );
  }
}
