// The delivery log of the binary: what is recorded of a message, which ones are, how it is asked, followed, exported, switched.

import { expect, test } from "bun:test";
import { RETRY_ON_FAIL } from "../support/config.ts";
import { apiOf, deliveries, LOG_ALL, setUpLog } from "../support/delivery-log.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";

const WHOLE = {
  enabled: true,
  request: { headers: true, payload: true },
  response: { headers: true, payload: true },
};

test("a record tells of a message: attempts, errors, the dead letter, and nothing of what was not asked for", async () => {
  await using setup = await setUpLog();
  await using relay = await setup.start({
    hasDeadLetters: true,
    subscription: { retry: { ...RETRY_ON_FAIL, maxAttempts: 1 } },
  });
  await setup.publish("fine");
  await setup.publish("rejected", [404]);
  await setup.publish("retried", [503, 200]);
  const api = await apiOf(relay);
  const records = await deliveries(api, 3);
  const of = (status: number, attempts: number) =>
    records.find((record) => record.status === status && record.attempts.length === attempts);
  expect(of(200, 1)).toMatchObject({
    entrypoint: "webhook",
    subscription: "sub",
    method: "POST",
    callbackUrl: `${setup.receiver.url}/sub`,
    error: null,
    deadLetterId: null,
  });
  expect(of(200, 1).webhookId).toBe(setup.receiver.requests.find(({ name }) => name === "fine")?.webhookId);
  expect(of(404, 1)).toMatchObject({
    error: "Callback answered 404",
    deadLetterId: expect.stringContaining(".") as unknown,
  });
  expect(of(200, 2).attempts.map(({ status }: { status: number }) => status)).toEqual([503, 200]);
  const { body } = await api("GET", `/api/deliveries/${of(404, 1).id}`);
  expect(body).toEqual({ ...of(404, 1), request: null, response: null });
  expect(await readMetric(relay, "relay_delivery_log_records_total")).toBe(3);
  expect((await api("GET", "/api/status")).body.deliveryLog).toEqual({
    written: 3,
    dropped: 0,
    faults: 0,
    fault: null,
    unpublished: 0,
  });
});

test("a call without an answer is status 0, and an interruption is recorded", async () => {
  await using setup = await setUpLog();
  await using relay = await setup.start();
  await setup.publish("reset", ["reset"]);
  const [record] = await deliveries(await apiOf(relay), 1, "&status=0");
  expect(record).toMatchObject({ status: 0, deadLetterId: null, attempts: [{ status: 0 }] });
  expect(record.error).toBe(record.attempts[0].error);
});

test("headers and bodies are kept where they are asked for, without a secret", async () => {
  await using setup = await setUpLog();
  const secret = "hunter2-hunter2";
  await using relay = await setup.start(
    {
      entrypoint: { ...LOG_ALL, logging: WHOLE },
      subscription: {
        headers: [{ name: "X-Key", value: { env: "KEY" } }],
        auth: { type: "token", token: { value: { env: "KEY" } } },
        signature: { secrets: [{ env: "SIGNING" }] },
      },
    },
    { env: { KEY: secret, SIGNING: `whsec_${Buffer.from("x".repeat(32)).toString("base64")}` } },
  );
  await setup.publish(`with ${secret} inside`);
  const api = await apiOf(relay);
  const [{ id }] = await deliveries(api, 1);
  const { body } = await api("GET", `/api/deliveries/${id}`);
  const sent = new Map<string, string>(body.request.headers);
  expect(sent.get("X-Key")).toBe("***");
  expect(sent.get("webhook-signature")).toBe("***");
  expect(JSON.parse(body.request.body)).toEqual({ name: "with *** inside", answers: [200] });
  expect(body.request.encoding).toBe("text");
  expect(new Map(body.response.headers).has("date")).toBe(true);
  expect(body.response.body).toBeString();
  expect(setup.receiver.requests[0]?.body).toContain(secret);
  const log = await Bun.file(`${setup.directory}/.relay/delivery-log.db-wal`).text();
  expect(log).toContain("with *** inside");
  expect(log).not.toContain(secret);
});

test("sampling takes its share of what was delivered, and all that failed", async () => {
  await using setup = await setUpLog();
  await using relay = await setup.start({
    hasDeadLetters: true,
    entrypoint: { sampling: { type: "COUNT", value: "10" } },
  });
  for (let index = 0; index < 21; index += 1) await setup.publish(`fine ${index}`);
  const api = await apiOf(relay);
  // The 21st to be answered is taken: those that are rejected come after it.
  await deliveries(api, 3);
  for (let index = 0; index < 5; index += 1) await setup.publish(`rejected ${index}`, [404]);
  const records = await deliveries(api, 8);
  expect(records.filter(({ status }) => status === 200)).toHaveLength(3);
  expect(records.filter(({ status }) => status === 404)).toHaveLength(5);
});

test("recording is switched for a while, back by hand, and not beyond a day", async () => {
  await using setup = await setUpLog();
  await using relay = await setup.start({ entrypoint: { sampling: { type: "TEMPORAL", value: "P1D" } } });
  const api = await apiOf(relay);
  const file = { logging: { enabled: false }, sampling: { type: "TEMPORAL", value: "PT86400S" } };
  expect((await api("GET", "/api/logging")).body.items).toMatchObject([{ file, override: null }]);
  await setup.publish("first");
  await deliveries(api, 1);
  const body = { logging: WHOLE, sampling: { type: "ALL" }, minutes: 5 };
  const { status, body: changed } = await api("PUT", "/api/logging/webhook", { body });
  expect(status).toBe(200);
  expect(changed).toMatchObject({ file, override: { logging: WHOLE, sampling: { type: "ALL" } } });
  expect(Date.parse(changed.override.until) - Date.now()).toBeWithin(290_000, 300_001);
  await setup.publish("second");
  await deliveries(api, 2);
  await setup.publish("third");
  const [newest] = await deliveries(api, 3);
  expect((await api("GET", `/api/deliveries/${newest.id}`)).body.request.body).toContain("third");
  expect((await api("DELETE", "/api/logging/webhook")).status).toBe(204);
  expect((await api("GET", "/api/logging")).body.items).toMatchObject([{ override: null }]);
  for (const minutes of [0, 1441, "5"]) {
    expect((await api("PUT", "/api/logging/webhook", { body: { minutes } })).status).toBe(422);
  }
  expect((await api("PUT", "/api/logging/other", { body })).status).toBe(404);
});

test("a reload with other sampling takes effect without a break", async () => {
  await using setup = await setUpLog();
  await using relay = await setup.start({ entrypoint: { sampling: { type: "TEMPORAL", value: "P1D" } } });
  const api = await apiOf(relay);
  await setup.publish("first");
  await deliveries(api, 1);
  const path = `${setup.directory}/relay.config.json`;
  await Bun.write(
    path,
    (await Bun.file(path).text()).replace(/"type": "TEMPORAL",\s*"value": "P1D"/, '"type": "ALL"'),
  );
  const { body } = await api("POST", "/api/reload");
  expect(body.changes).toContain("Subscription sub changed without interruption");
  await setup.publish("second");
  await setup.publish("third");
  expect(await deliveries(api, 3)).toHaveLength(3);
});

test("the stream gives records as they are written, and goes on where it broke off", async () => {
  await using setup = await setUpLog();
  await using relay = await setup.start({ hasDeadLetters: true });
  const url = `${await relay.url()}/api/deliveries/stream`;
  const api = await apiOf(relay);
  await using first = await follow(url);
  await setup.publish("a");
  await setup.publish("b", [404]);
  await eventually(() => first.events.length === 2);
  const [a] = first.events;
  await first[Symbol.asyncDispose]();
  await setup.publish("c");
  await deliveries(api, 3);
  await using again = await follow(url, { "last-event-id": a?.id ?? "" });
  await setup.publish("d");
  await eventually(() => again.events.length === 3);
  const ids = (await deliveries(api, 4)).map(({ id }) => id).toReversed();
  expect(again.events.map(({ id }) => id)).toEqual(ids.slice(1));
  await using failed = await follow(`${url}?status=4xx`, { "last-event-id": "0" });
  await eventually(() => failed.events.length === 1);
  expect(JSON.parse(failed.events[0]?.data ?? "")).toMatchObject({
    status: 404,
    deadLetterId: expect.stringContaining(".") as unknown,
  });
  expect((await api("GET", "/api/deliveries/stream?limit=1")).status).toBe(400);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
});

interface Followed extends AsyncDisposable {
  readonly events: readonly { readonly id: string; readonly data: string }[];
}

async function follow(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Followed> {
  const leaving = new AbortController();
  const response = await fetch(url, { headers, signal: leaving.signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const events: { id: string; data: string }[] = [];
  const begun = Promise.withResolvers<void>();
  const reading = (async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      rest += decoder.decode(chunk, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const [, id = ""] = /^id: (.*)$/m.exec(block) ?? [];
        const [, data] = /^data: (.*)$/m.exec(block) ?? [];
        if (data !== undefined) events.push({ id, data });
      }
      begun.resolve();
    }
  })().catch(() => undefined);
  await begun.promise;
  return {
    events,
    async [Symbol.asyncDispose]() {
      leaving.abort();
      await reading;
    },
  };
}
