// What an account may have of JetStream: foretold by an inspection, and what of it can be taken is taken.

import type { NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "bun:test";

import { toConsumerSettings } from "#consumer/config.ts";
import { alignConsumer } from "#consumer/consumer.ts";

import { fetchNatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, natsSettings } from "../support/nats.ts";
import { CREATE, found, letters, subscription } from "./inspections.ts";

async function setUp(limits: string) {
  await using stack = new AsyncDisposableStack();
  const configText = `accounts { A { jetstream { ${limits} }, users [ { user: a, password: a } ] } }`;
  const server = stack.use(await startNatsServer({ configText }));
  const client: NatsConnection = await server.connect({ user: "a", pass: "a" });
  const auth = { auth: { kind: "user", username: "a", password: "a" } } as const;
  const connection = stack.use(await connected(server.url, auth));
  const owned = stack.move();
  return {
    client,
    connection,
    settings: natsSettings([server.url], auth),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("alignConsumer() uses the account's max_ack_pending at once, as inspectNats() predicts, and keeps the consumer", async () => {
  await using setup = await setUp("max_ack_pending: 100");
  await addStream(setup.client);
  const wanted = toConsumerSettings(subscription());
  const lines = await found([subscription()], setup.settings);
  expect(lines.join()).toContain("max ack pending is limited to 100, where 1000 would be set");
  const first = await alignConsumer(setup.connection, wanted);
  expect(first).toMatchObject({ change: "created", settings: { maxAckPending: 100 } });
  expect(await alignConsumer(setup.connection, wanted)).toMatchObject({ change: "kept" });
});

test("inspectNats() reports that the account allows no more streams, or only streams with max_bytes", async () => {
  await using full = await setUp("max_streams: 1");
  await addStream(full.client);
  const all = [subscription({ deadLetters: [letters("DLQ", { create: CREATE })] })];
  const about = async (settings: typeof full.settings) =>
    (await found(all, settings)).filter((line) => line.startsWith("error "));
  expect(await about(full.settings)).toEqual([
    "error state.bucket: Bucket relay: cannot be created: the account takes 1 streams, and has 1",
    "error endpoint to-DLQ: Dead-letter stream DLQ: cannot be created: the account takes 1 streams, and has 1",
  ]);
  await using strict = await setUp("max_bytes_required: true");
  const reason = "cannot be created: the account takes only streams with a limit of bytes";
  expect(await about(strict.settings)).toEqual([
    `error state.bucket: Bucket relay: ${reason}`,
    "error subscription billing: Stream ORDERS does not exist, and a relay would wait for it",
    `error endpoint to-DLQ: Dead-letter stream DLQ: ${reason}`,
  ]);
});

test("inspectNats() reports once that a server allows 1,000 consumers for each stream by default", async () => {
  await using server = await startNatsServer({ binary: fetchNatsServer() });
  await addStream(await server.connect());
  const all = Array.from({ length: 1003 }, (_, index) => subscription({ id: `s${index + 1}` }));
  const lines = await found(all, natsSettings([server.url]));
  expect(lines.filter((line) => !line.startsWith("note "))).toEqual([
    "warning stream ORDERS: Stream ORDERS takes 1,000 consumers where the server's default_max_consumers is not raised, and has 0: subscriptions s1001, s1002, s1003 cannot run",
  ]);
});
