// A group of dead-letter endpoints: the next one where one fails, the first again once it is back, and nothing lost where all fail.

import type { StreamConfig } from "@nats-io/jetstream";
import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import {
  addLetterStream,
  countLetters,
  type LettersSetup,
  readLetter,
  setUpLetters,
} from "../support/letters.ts";
import { isInState, readReadiness } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";

const GROUP = { letterStreams: ["ONE", "TWO"] };

async function addOne({ client }: LettersSetup, config: Partial<StreamConfig>): Promise<void> {
  await addStream(client, { name: "ONE", subjects: ["one.>"], ...config });
}

/** The first endpoint is in a domain that nobody has. */
function elsewhere(): object {
  const endpoint = (name: string, more: object) => ({ name, type: "jetstream", ...more });
  return {
    endpoints: [
      endpoint("orders", { consumer: { stream: "ORDERS", ackWaitSeconds: 5 } }),
      endpoint("ONE", { domain: "nowhere", producer: { stream: "ONE", subject: "one" } }),
      endpoint("TWO", { producer: { stream: "TWO", subject: "two" } }),
    ],
  };
}

test.each<[string, (setup: LettersSetup) => Promise<unknown>, object]>([
  ["is missing", () => Promise.resolve(), {}],
  ["is in a domain that does not answer", () => Promise.resolve(), elsewhere()],
  [
    "is full",
    async (setup) => {
      await addOne(setup, { max_msgs: 1, discard: "new" });
      await jetstream(setup.client).publish("one.x", "x");
    },
    {},
  ],
  ["takes no message of that size", (setup) => addOne(setup, { max_msg_size: 3 }), {}],
  [
    "does not answer in time",
    async ({ client }) => {
      client.subscribe("one.>", { callback: () => {} });
      await client.flush();
    },
    {},
  ],
])(
  "the second takes the letter when the first %s",
  async (_, prepare, more) => {
    await using setup = await setUpLetters();
    await addLetterStream(setup, "TWO");
    await prepare(setup);
    await setup.publish("letter");
    await using relay = await setup.start({ ...GROUP, more });
    expect((await readLetter(setup, "TWO")).string()).toBe("letter");
    expect((await relay.logged("Message dead-lettered"))["endpoint"]).toBe("TWO");
    await eventually(() => setup.isThrough());
    expect(setup.receiver.requests).toHaveLength(1);
    expect((await readReadiness(relay)).status).toBe(200);
  },
  120_000,
);

test("the first takes letters again once it is there, and all of them are listed and replayed", async () => {
  await using setup = await setUpLetters();
  await addLetterStream(setup, "TWO");
  await using relay = await setup.start(GROUP);
  await setup.publish("into the second");
  await readLetter(setup, "TWO");
  await addLetterStream(setup, "ONE");
  await setup.publish("into the first");
  expect((await readLetter(setup, "ONE")).string()).toBe("into the first");
  expect(await countLetters(setup, "TWO")).toBe(1);
  const list = async () => {
    const answer = await fetch(`${await relay.url()}/api/dead-letters`);
    return ((await answer.json()) as { items: readonly { endpoint: string }[] }).items;
  };
  expect((await list()).map(({ endpoint }) => endpoint)).toEqual(["ONE", "TWO"]);
  setup.receiver.respond(() => 200);
  await fetch(`${await relay.url()}/api/replays`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{ "filter": {} }',
  });
  await eventually(() => setup.receiver.requests.length === 4);
  await eventually(async () => (await list()).length === 0);
  expect(setup.receiver.requests).toHaveLength(4);
});

// What is in flight under these two is in no stream any more: while it has no place, nothing else is begun.
test.each([["NONE"], ["AT_MOST_ONCE"]] as const)(
  "%s: without any place for a letter nothing more is pulled, readiness is red, and it goes on once there is one",
  async (qos) => {
    await using setup = await setUpLetters({
      respond: ({ body }) => (body.toString() === "bad" ? 404 : 200),
    });
    const entrypoint = { http: { maxConcurrentConnections: 1 } };
    await using relay = await setup.start({ ...GROUP, qos, entrypoint });
    await eventually(() => isInState(relay, "sub", "running"));
    await setup.publish("bad");
    await relay.logged("Cannot store dead letters");
    for (let n = 0; n < 3; n += 1) await setup.publish("good");
    const red = await eventually(async () => {
      const answer = await readReadiness(relay);
      return answer.status === 503 && answer.reasons.join().includes("TWO") && answer;
    });
    expect(red.reasons.join()).toContain("Dead-letter stream ONE: not found");
    const bodies = () => setup.receiver.requests.map(({ body }) => body.toString());
    expect(bodies()).toEqual(["bad"]);
    await addLetterStream(setup, "ONE");
    await eventually(() => bodies().length === 4, { withinMs: 15_000 });
    expect(bodies()).toEqual(["bad", "good", "good", "good"]);
    expect((await readLetter(setup, "ONE")).string()).toBe("bad");
    await eventually(async () => (await readReadiness(relay)).status === 200, { what: "green" });
  },
  120_000,
);
