// Dead letters that somebody else wrote: another client of NATS may publish below the subject, and has nothing sent by that.

import { jetstream } from "@nats-io/jetstream";
import { headers as createHeaders, type MsgHdrs } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { countLetters, type LettersSetup, readLetter, setUpLetters } from "../support/letters.ts";
import { addStream } from "../support/nats.ts";
import { makeLetters, openReplays } from "../support/replays.ts";

const GENUINE = "genuine";

/** With a stream as Relay makes it. */
async function setUp() {
  const setup = await setUpLetters();
  await addStream(setup.client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1 });
  return setup;
}

/** As Relay writes them, but for the signature. */
function forgedHeaders(more: Readonly<Record<string, string>> = {}): MsgHdrs {
  const headers = createHeaders();
  const own = { "Relay-Subscription": "sub", "Relay-Reason": "rejected", "Relay-Status": "404" };
  for (const [name, value] of Object.entries({ ...own, ...more })) headers.append(name, value);
  return headers;
}

async function copied(
  setup: LettersSetup,
  sequence: number,
): Promise<{ headers: MsgHdrs; body: Uint8Array }> {
  const { header, data } = await readLetter(setup, "DLQ", sequence);
  const headers = createHeaders();
  for (const [name, values] of header)
    if (!name.startsWith("Nats-")) for (const value of values) headers.append(name, value);
  return { headers, body: data };
}

function bodiesOf({ receiver }: LettersSetup): string[] {
  return receiver.requests.map(({ body }) => body.toString());
}

test("a forged letter is listed as foreign, and sent by no replay but one that names its id", async () => {
  await using setup = await setUp();
  await using relay = await setup.start();
  await makeLetters(setup, [GENUINE]);
  const js = jetstream(setup.client);
  const { headers: stolen, body } = await copied(setup, 1);
  await js.publish("dlq.sub.ORDERS.7-abc", "forged", { headers: forgedHeaders() });
  await js.publish("dlq.sub.ORDERS.8-abc", "signed", {
    headers: forgedHeaders({ "Relay-Signature": stolen.get("Relay-Signature") }),
  });
  await js.publish("dlq.sub.ORDERS.9-abc", body, { headers: stolen });
  setup.receiver.respond(() => 204);
  const replays = await openReplays(relay);
  const list = async () => (await replays.call("GET", "/api/dead-letters")).body.items;
  const items = await list();
  expect(items.map(({ isForeign }: { isForeign: boolean }) => isForeign)).toEqual([true, true, true, false]);
  const counts = (await replays.call("GET", "/api/dead-letters/counts")).body;
  expect(counts).toMatchObject({ letters: 1, foreign: 3, bySubscription: { sub: 1 } });
  for (const filter of [{}, { subscription: "sub" }, { status: "404" }])
    expect(await replays.ended(await replays.start({ filter }))).toMatchObject({ state: "done", failed: 0 });
  const bySubject = { ids: ["sub.ORDERS.7-abc", "sub.ORDERS.8-abc", "sub.ORDERS.9-abc"] };
  expect(await replays.ended(await replays.start(bySubject))).toMatchObject({ skipped: { foreign: 3 } });
  expect(bodiesOf(setup)).toEqual([GENUINE, GENUINE]);
  const forged = items.find(({ subject }: { subject: string }) => subject === "dlq.sub.ORDERS.7-abc");
  const named = await replays.ended(await replays.start({ ids: [forged.id] }));
  expect(named).toMatchObject({ state: "done", delivered: 1 });
  expect(bodiesOf(setup)).toEqual([GENUINE, GENUINE, "forged"]);
  expect(await list()).toHaveLength(2);
});

test("a genuine letter whose body somebody changed is not sent", async () => {
  await using setup = await setUp();
  await using relay = await setup.start();
  await makeLetters(setup, [GENUINE]);
  const { headers } = await copied(setup, 1);
  const { subject } = await readLetter(setup, "DLQ", 1);
  await jetstream(setup.client).publish(subject, "changed", { headers });
  expect(await countLetters(setup, "DLQ")).toBe(1);
  setup.receiver.respond(() => 204);
  const replays = await openReplays(relay);
  expect(await replays.ended(await replays.start())).toMatchObject({ delivered: 0, skipped: { foreign: 1 } });
  expect(bodiesOf(setup)).toEqual([GENUINE]);
});

test("what fails in a replay that names it does not become a letter of Relay's by that", async () => {
  await using setup = await setUp();
  await using relay = await setup.start();
  await jetstream(setup.client).publish("dlq.sub.ORDERS.7-abc", "forged", { headers: forgedHeaders() });
  const replays = await openReplays(relay);
  const list = async () => (await replays.call("GET", "/api/dead-letters")).body.items;
  const [before] = await list();
  expect(await replays.ended(await replays.start({ ids: [before.id] }))).toMatchObject({ failed: 1 });
  expect(await list()).toMatchObject([{ isForeign: true }]);
  expect(await replays.ended(await replays.start())).toMatchObject({ delivered: 0, failed: 0 });
  expect(bodiesOf(setup)).toEqual(["forged"]);
});

test("a schedule replays the letters of the relay, and none that was forged", async () => {
  await using setup = await setUp();
  const replay = { strategy: "SCHEDULED", intervalSeconds: 1, maxReplays: 3 };
  await using relay = await setup.start({ replay });
  await jetstream(setup.client).publish("dlq.sub.ORDERS.7-abc", "forged", { headers: forgedHeaders() });
  setup.receiver.respond((_request, index) => (index === 0 ? 404 : 204));
  await setup.publish(GENUINE);
  await eventually(() => setup.receiver.requests.length === 2, { withinMs: 15_000 });
  const { show } = await openReplays(relay);
  await eventually(async () => (await show("scheduled-sub")).skipped.foreign > 0, { withinMs: 15_000 });
  expect(bodiesOf(setup)).toEqual([GENUINE, GENUINE]);
}, 120_000);

test("a letter replaces what somebody published on its subject, also the same message without its signature", async () => {
  await using setup = await setUp();
  await using first = await setup.start();
  await makeLetters(setup, [GENUINE]);
  const { subject } = await readLetter(setup, "DLQ", 1);
  await jetstream(setup.client).publish(subject, GENUINE, { headers: forgedHeaders() });
  const replays = await openReplays(first);
  await replays.call("POST", "/api/subscriptions/sub/seek", { body: { to: "all" } });
  await eventually(async () => {
    const { items } = (await replays.call("GET", "/api/dead-letters")).body;
    return items.length === 1 && items[0].isForeign === false;
  });
});
