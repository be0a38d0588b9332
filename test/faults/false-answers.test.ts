// Somebody answers in place of JetStream, with what no server would say: Relay stays, and goes on with the real one.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { connect } from "node:net";

import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { liesAbout, RIGHT_ANSWERS } from "../support/false-jetstream.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

/** So that few lies are of many kinds. */
const STRIDE = 37;
const ACK = "$JS.ACK.ORDERS.relay-sub";
const HUGE = "9".repeat(400);
const REPLIES = [
  `${ACK}.1.5.5.1700000000000000000.0`,
  `${ACK}.0.0.0.0.0`,
  `${ACK}.-1.-5.-5.-1.-1`,
  `${ACK}.${HUGE}.${HUGE}.${HUGE}.${HUGE}.${HUGE}`,
  `${ACK}.1.6.6.99999999999999999999.0`,
  `${ACK}.1.1e3.5.1700000000000000000.0`,
  `${ACK}.1.9007199254740993.5.1700000000000000000.0`,
  `$JS.ACK`,
  `$JS.ACK.${"x.".repeat(50)}x`,
  `nobody`,
];
const BLOCKS = [
  "NATS/1.0\r\n\r\n",
  "NATS/1.0 100 Idle Heartbeat\r\n\r\n",
  "NATS/1.0 409 What Is This\r\n\r\n",
  "NATS/1.0 409 Exceeded MaxRequestBatch of 99999999999999999999\r\n\r\n",
  "NATS/1.0 999999999999 Odd\r\n\r\n",
  "NATS/1.0 -1\r\n\r\n",
  "NATS/1.0 503\r\n\r\n",
  "NATS/1.0\r\nno header at all\r\na b: c\r\n\r\n",
  "NATS/1.0\r\n: empty\r\n\r\n",
  "NATS/9.9 ?\r\n\r\n",
  "\u0000\u0001\r\n\r\n",
];

/** Publishes what no client library would. */
async function openRaw(port: number) {
  const socket = connect(port, "127.0.0.1");
  const isOpen = Promise.withResolvers<void>();
  socket.once("data", () => isOpen.resolve());
  socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n');
  await isOpen.promise;
  return {
    publish(subject: string, { reply, block, body }: { reply: string; block: string; body: string }) {
      const headerBytes = Buffer.byteLength(block);
      const bytes = headerBytes + Buffer.byteLength(body);
      socket.write(`HPUB ${subject} ${reply} ${headerBytes} ${bytes}\r\n${block}${body}\r\n`);
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

test.each(["AT_MOST_ONCE", "AUTO"] as const)(
  "no answer and no delivery that nobody should send ends the relay (%s)",
  async (qos) => {
    await using nats = await startNatsServer();
    await using receiver = await startReceiver((_, index) => (index % 3 === 0 ? 404 : 200));
    const client = await nats.connect();
    await addStream(client);
    using raw = await openRaw(nats.port);
    let isLying = true;
    const lied = new Map<string, number>();
    let asked = 0;
    let pulled = 0;
    /** Every fifth time, and always to the checks of readiness. */
    const lieAbout = (call: string) => {
      asked += 1;
      const [start = "", right] = Object.entries(RIGHT_ANSWERS).find(([one]) => call.startsWith(one)) ?? [];
      const isTruth = asked % 5 !== 0 && call !== "STREAM.INFO.DLQ";
      if (!isLying || right === undefined || isTruth) return undefined;
      const lies = liesAbout(right);
      const count = (lied.get(start) ?? 0) + 1;
      lied.set(start, count);
      return lies[(count * STRIDE) % lies.length];
    };
    // A domain of its own, whose requests go through here.
    client.subscribe("$JS.false.API.>", {
      callback: (_, msg) => {
        const call = msg.subject.slice("$JS.false.API.".length);
        const reply = msg.reply ?? "";
        if (isLying && call.startsWith("CONSUMER.MSG.NEXT")) {
          for (let n = 0; n < 4; n += 1) raw.publish(reply, deliveryOf((pulled += 1)));
        }
        const lie = lieAbout(call);
        if (lie === undefined) client.publish(`$JS.API.${call}`, msg.data, { reply });
        else client.publish(reply, lie);
      },
    });
    await client.flush();
    const config = testConfig({
      natsUrl: nats.url,
      callbackUrl: receiver.url.href,
      qos,
      hasDeadLetters: true,
    });
    const endpoints = (config["endpoints"] as readonly object[]).map((one) =>
      Object.assign({}, one, { domain: "false" }),
    );
    await using relay = await startRelay({ config: { ...config, endpoints } });
    let exitCode: number | null = null;
    void relay.exited.then((code) => (exitCode = code));
    await eventually(
      async () => {
        if (exitCode !== null) return true;
        await jetstream(client).publish("orders.x", "x");
        return (lied.get("STREAM.INFO") ?? 0) >= 6 && pulled > 40;
      },
      { withinMs: 90_000, what: "enough lies" },
    );
    expect(exitCode).toBeNull();
    isLying = false;
    await eventually(
      async () => {
        await jetstream(client).publish("orders.real", "real");
        return receiver.requests.some(({ body }) => body.toString() === "real");
      },
      { withinMs: 60_000, what: "a delivery that is no lie" },
    );
    expect(relay.logs.filter(({ message }) => message.startsWith("Cannot process a message"))).toEqual([]);
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);
  },
  180_000,
);

function deliveryOf(number: number): { reply: string; block: string; body: string } {
  return {
    reply: REPLIES[number % REPLIES.length] ?? "",
    block: BLOCKS[number % BLOCKS.length] ?? "",
    body: number % 2 === 0 ? "" : "x",
  };
}
