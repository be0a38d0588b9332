// What the server knows of a message once the relay is done with it: each action, asked for at a real server. Nothing pending,
// nothing lost, one answer.

import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { toConsumerSettings } from "#consumer/config.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { startPump } from "#consumer/pump.ts";
import type { Outcome } from "#delivery/outcome.ts";
import type { Qos } from "#delivery/policy.ts";
import { openDeadLetters } from "#letters/store.ts";
import { createPipeline } from "#pipeline/pipeline.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import { eventually } from "../support/eventually.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";
import { addStream, connected, type TestConnection } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { BROKEN, createMemoryGuard, OK, REFUSED, scriptCallback } from "../support/scripted-parts.ts";
import { toSubscription } from "../support/subscription.ts";

const ALL_QOS = ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const;
const RETRY = { kind: "linear", maxAttempts: 1, initialDelayMs: 1, maxDelayMs: 1 } as const;

let stack: AsyncDisposableStack;
let client: NatsConnection;
let connection: TestConnection;
let manager: JetStreamManager;
let streams = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  client = await server.connect();
  manager = await jetstreamManager(client);
  connection = stack.use(await connected(server.url));
});
afterAll(() => stack.disposeAsync());

interface Script {
  /** Of each request in turn. */
  readonly outcomes: readonly Outcome[];
  readonly hasLetters?: boolean;
}

/** A stream with one message, and pipelines that each end as `run` says: with what became of the message. */
async function setUp(qos: Qos) {
  const number = (streams += 1);
  const stream = `SETTLE_${number}`;
  const letters = `LETTERS_${number}`;
  await addStream(client, { name: stream, subjects: [`settle.${number}`] });
  await addStream(client, { name: letters, subjects: [`letters.${number}.>`] });
  const answers: string[] = [];
  client.subscribe(`$JS.ACK.${stream}.>`, { callback: (_, msg) => void answers.push(msg.string()) });
  await client.request(`settle.${number}`, "one");
  const endpoint = {
    name: "letters",
    domain: null,
    stream: letters,
    subject: `letters.${number}`,
    create: null,
  };
  const source = { ...toSubscription().source, stream };

  async function run({ outcomes, hasLetters = false }: Script): Promise<string> {
    const { logger } = connection;
    const subscription = toSubscription({ qos, source, retry: RETRY, interruptOnServerError: false });
    const settings = toConsumerSettings(subscription);
    const { consumerCreated } = await alignConsumer(connection, settings);
    const callback = scriptCallback();
    const ending = Promise.withResolvers<string>();
    const pipeline = createPipeline({
      terms: createTerms(subscription, { openCallback: () => callback, hasDeadLetters: hasLetters }),
      turns: createTurns(5),
      guard: createMemoryGuard(),
      isSkipped: () => false,
      deadLetters: hasLetters
        ? openDeadLetters(connection, [endpoint], { signer: TRUSTING_SIGNER, logger })
        : null,
      lastPongAt: connection.lastPongAt,
      countConsumer: null,
      isProbe: false,
      observer: {
        attempted: () => {},
        settled: ({ ending: { kind } }) => ending.resolve(kind),
        postponed: () => {},
      },
      logger,
      onInterrupted: () => void pipeline.close({ graceMs: 0 }),
      onExpired: () => {},
      onRecovered: () => {},
    });
    pipeline.pull((handlers) =>
      startPump(connection, {
        ...settings,
        ...handlers,
        consumerCreated,
        position: () => null,
        pumps: () => 1,
        onUsable: () => {},
        onLost: ending.resolve,
        logger,
      }),
    );
    for (const [index, outcome] of outcomes.entries()) {
      await eventually(() => callback.sends.length === index + 1);
      callback.answer(outcome);
    }
    const kind = await ending.promise;
    await pipeline.close({ graceMs: 0 });
    return kind;
  }

  return {
    run,
    /** To the server, but for those that only say that it is worked on. */
    answers: () => answers.filter((answer) => answer !== "+WPI"),
    letters: async () => (await manager.streams.info(letters)).state.messages,
    consumer: () => manager.consumers.info(stream, "relay-billing"),
  };
}

test.concurrent.each<[action: string, script: Script, ending: string, letters: number]>([
  ["ack", { outcomes: [OK] }, "delivered", 0],
  ["dead-letter", { outcomes: [REFUSED], hasLetters: true }, "dead-lettered", 1],
  ["drop", { outcomes: [BROKEN, BROKEN] }, "dropped", 0],
  ["retry", { outcomes: [BROKEN, OK] }, "delivered", 0],
])(
  "after %s nothing is pending, nothing lost, and there was one answer",
  async (_action, script, ending, letters) => {
    const check = async (qos: Qos) => {
      // What was acknowledged before it was sent is not sent again.
      const outcomes = qos === "AT_MOST_ONCE" ? script.outcomes.slice(0, 1) : script.outcomes;
      const own = await setUp(qos);
      const isDropped = qos === "AT_MOST_ONCE" && outcomes[0] === BROKEN;
      expect(await own.run({ ...script, outcomes })).toBe(isDropped ? "dropped" : ending);
      await eventually(async () => {
        const { num_ack_pending, num_pending } = await own.consumer();
        return num_ack_pending === 0 && num_pending === 0;
      });
      expect(await own.letters()).toBe(letters);
      expect([qos, ...own.answers()]).toEqual(
        qos === "NONE" ? [qos] : [qos, expect.stringMatching(/^(\+ACK)?$/)],
      );
    };
    await Promise.all(ALL_QOS.map(check));
  },
);

test("after an interrupt the message is still the stream's: given back once, and delivered at once when it is wanted again", async () => {
  for (const qos of ["AUTO", "AT_LEAST_ONCE"] as const) {
    const own = await setUp(qos);
    expect(await own.run({ outcomes: [REFUSED] })).toBe("returned");
    await eventually(() => own.answers().length > 0);
    expect(own.answers()).toEqual(["-NAK"]);
    expect((await own.consumer()).ack_floor.stream_seq).toBe(0);
    expect(await own.run({ outcomes: [OK] })).toBe("delivered");
    await eventually(async () => (await own.consumer()).num_ack_pending === 0);
    expect(own.answers()).toHaveLength(2);
  }
});
