// Dead letters of a running relay, read back by its API: filtered, counted, shown whole, purged.

import { headers as createHeaders } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import { openApi } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { addLetterStream, countLetters, setUpLetters } from "../support/letters.ts";
import { startReceiver } from "../support/receiver.ts";

const SECRET = "hunter2-hunter2";

interface Item {
  readonly id: string;
  readonly subscription: string;
  readonly sequence: number;
}

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const setup = stack.use(
    await setUpLetters({ respond: ({ body }) => (body.toString() === "fails" ? 503 : 422) }),
  );
  const other = stack.use(await startReceiver(() => 410));
  await addLetterStream(setup, "DLQ");
  const relay = stack.use(
    await setup.start({
      others: { other: other.url.href },
      entrypoint: { interruptConsumptionOnServerError: false },
      subscription: { headers: [{ name: "X-Key", value: SECRET }] },
    }),
  );
  await eventually(() => relay.logs.filter(({ message }) => message === "Consuming").length === 2);
  const own = createHeaders();
  own.append("X-Note", `it is ${SECRET}`);
  await setup.publish("fails", own);
  await setup.publish(`rejected ${SECRET}`);
  await eventually(async () => (await countLetters(setup, "DLQ")) === 4);
  const api = await openApi(await relay.url());
  const owned = stack.move();
  return { setup, api, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("letters are listed by every filter, and page by page", async () => {
  await using own = await setUp();
  const list = async (query: string) => {
    const answer = await own.api("GET", `/api/dead-letters?${query}`);
    expect(answer.status).toBe(200);
    const items = answer.body.items as readonly Item[];
    return items.map(({ subscription, sequence }) => `${subscription} ${sequence}`).toSorted();
  };
  const all = ["other 1", "other 2", "sub 1", "sub 2"];
  expect(await list("")).toEqual(all);
  expect(await list("subscription=sub")).toEqual(["sub 1", "sub 2"]);
  expect(await list("entrypoint=webhook")).toEqual(all);
  expect(await list("entrypoint=another")).toEqual([]);
  expect(await list(`application=${encodeURIComponent("billing & co")}`)).toEqual(["sub 1", "sub 2"]);
  expect(await list("reason=server-error")).toEqual(["sub 1"]);
  expect(await list("status=4xx&subscription=sub")).toEqual(["sub 2"]);
  expect(await list("status=410")).toEqual(["other 1", "other 2"]);
  expect(await list("error=ANSWERED%20422")).toEqual(["sub 2"]);
  expect(await list(`from=${new Date(Date.now() - 60_000).toISOString()}`)).toEqual(all);
  expect(await list(`to=${new Date(Date.now() - 60_000).toISOString()}`)).toEqual([]);
  const seen: string[] = [];
  for (let next: string | null = ""; next !== null;) {
    const { body } = await own.api("GET", `/api/dead-letters?limit=1${next === "" ? "" : `&cursor=${next}`}`);
    seen.push(
      ...(body.items as readonly Item[]).map(({ subscription, sequence }) => `${subscription} ${sequence}`),
    );
    next = body.next as string | null;
  }
  expect(seen.toSorted()).toEqual(all);
});

test("letters are counted, one is shown whole without a secret, and its bytes are fetched", async () => {
  await using own = await setUp();
  expect((await own.api("GET", "/api/dead-letters/counts")).body).toMatchObject({
    letters: 4,
    byReason: { rejected: 3, "server-error": 1, exception: 0, unknown: 0 },
    bySubscription: { sub: 2, other: 2 },
  });
  const { items } = (await own.api("GET", "/api/dead-letters?subscription=sub")).body;
  const ofSequence = (wanted: number) =>
    (items as readonly Item[]).find(({ sequence }) => sequence === wanted)?.id;
  const failed = (await own.api("GET", `/api/dead-letters/${ofSequence(1)}`)).body;
  expect(failed).toMatchObject({
    reason: "server-error",
    status: 503,
    error: "Callback answered 503",
    attempts: 1,
    replays: 0,
    stream: "ORDERS",
    subject: "orders.new",
    endpoint: "DLQ",
    size: 5,
    payload: { encoding: "text", content: "fails", isCut: false },
  });
  expect(failed.headers).toContainEqual(["X-Note", "it is ***"]);
  const rejected = await own.api("GET", `/api/dead-letters/${ofSequence(2)}`);
  expect(rejected.body.payload.content).toBe("rejected ***");
  const raw = await own.api("GET", `/api/dead-letters/${ofSequence(2)}/payload`);
  expect(raw.body).toBe(`rejected ${SECRET}`);
  expect((await own.api("GET", "/api/dead-letters/sub.ORDERS.9-abc")).status).toBe(404);
});

test("what is purged is gone, the rest stays", async () => {
  await using own = await setUp();
  const purge = async (body: object) => (await own.api("DELETE", "/api/dead-letters", { body })).body;
  const filter = { subscription: "sub" };
  const dry = await purge({ filter, dryRun: true });
  expect(dry).toMatchObject({ matched: 2, purged: 0 });
  expect(await purge({ filter, cursor: dry.start, confirm: 2 })).toMatchObject({ matched: 2, purged: 2 });
  const { items } = (await own.api("GET", "/api/dead-letters")).body;
  expect((items as readonly Item[]).map(({ subscription }) => subscription)).toEqual(["other", "other"]);
  expect(await purge({ ids: [items[0].id] })).toMatchObject({ matched: 1, purged: 1 });
  expect(await countLetters(own.setup, "DLQ")).toBe(1);
});
