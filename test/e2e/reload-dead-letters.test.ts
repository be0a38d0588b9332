// A dead-letter endpoint that was wrong is put right by a reload: the letter that waited for it is stored at the right one.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { type LogLine, startRelay, temporaryDirectory } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

type Json = Readonly<Record<string, unknown>>;
type Qos = "AT_LEAST_ONCE" | "AT_MOST_ONCE" | "NONE";

const GOES_ON = "Subscription sub changed without interruption";
const BEGINS_ANEW = "Subscription sub changed and restarted";

const isConsuming = ({ message }: LogLine) => message === "Consuming";

const CASES: readonly (readonly [Qos, string, Json])[] = [
  ["AT_LEAST_ONCE", GOES_ON, {}],
  ["AT_MOST_ONCE", GOES_ON, {}],
  ["NONE", GOES_ON, {}],
  ["AT_MOST_ONCE", BEGINS_ANEW, { channel: "orders.x" }],
  ["NONE", BEGINS_ANEW, { channel: "orders.x" }],
];

test.each(CASES)(
  "%s: the letter that waits is stored where it goes now: %s",
  async (qos, change, channel) => {
    await using nats = await startNatsServer();
    const client = await nats.connect();
    await addStream(client);
    await addStream(client, { name: "RIGHT", subjects: ["right.>"] });
    const { streams } = await jetstreamManager(client);
    await using receiver = await startScriptedReceiver();
    await using directory = await temporaryDirectory();
    const toConfig = (producer: Json, subscription: Json): Json => {
      const config = testConfig({
        natsUrl: nats.url,
        callbackUrl: `${receiver.url}/sub`,
        qos,
        hasDeadLetters: true,
        subscription,
      });
      const [source] = config["endpoints"] as Json[];
      const letters = { name: "letters", type: "jetstream", producer };
      const server = { listen: "127.0.0.1:0" };
      return { ...config, server, endpoints: [source, letters], shutdown: { graceSeconds: 1 } };
    };
    const wrong = toConfig({ stream: "MISSPELT", subject: "wrong" }, {});
    await using relay = await startRelay({ config: wrong, directory: directory.path });
    const api = await openApi(await relay.url());
    await relay.logged("Consuming");
    const js = jetstream(client);
    await js.publish("orders.x", JSON.stringify({ name: "bad", answers: [404] }));
    await relay.logged("Cannot store dead letters");

    const right = toConfig({ stream: "RIGHT", subject: "right" }, channel);
    await writeFile(join(directory.path, "relay.config.json"), JSON.stringify(right));
    expect((await api("POST", "/api/reload")).body.changes).toContain(change);
    await eventually(async () => (await streams.info("RIGHT")).state.messages === 1);
    if (change === BEGINS_ANEW) await eventually(() => relay.logs.filter(isConsuming).length === 2);
    await js.publish("orders.x", JSON.stringify({ name: "good" }));
    await eventually(() => receiver.names("/sub").includes("good"));
    expect(receiver.names("/sub")).toEqual(["bad", "good"]);
    expect(await readMetric(relay, "relay_messages_total", { subscription: "sub", ending: "lost" })).toBe(0);
  },
);
