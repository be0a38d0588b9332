// Dead letters that a relay replays by itself, as `dlq.replay` wants it.

import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { addLetterStream, setUpLetters } from "../support/letters.ts";
import { isInState } from "../support/metrics.ts";
import { makeLetters, openReplays } from "../support/replays.ts";

const INTERVAL_MS = 1000;

function scheduled(maxReplays: number): { replay: object } {
  return { replay: { strategy: "SCHEDULED", intervalSeconds: INTERVAL_MS / 1000, maxReplays } };
}

test("what is delivered leaves; what has failed maxReplays times stays, and is listed as exhausted", async () => {
  await using setup = await setUpLetters();
  await addLetterStream(setup, "DLQ");
  const { receiver } = setup;
  await using relay = await setup.start(scheduled(2));
  const sent = (name: string) => receiver.requests.filter(({ body }) => body.toString() === name).length;
  receiver.respond(({ body }) => (body.toString() === "heals" && sent("heals") > 1 ? 200 : 404));
  await makeLetters(setup, ["never", "heals"]);
  const replays = await openReplays(relay);
  const letters = await eventually(async () => {
    const { items } = (await replays.call("GET", "/api/dead-letters")).body;
    return items.length === 1 && items[0].isExhausted === true && items;
  });
  expect(letters).toMatchObject([{ replays: 2, status: 404 }]);
  expect([sent("never"), sent("heals")]).toEqual([3, 2]);
  // It is looked at again, and left.
  await eventually(async () => {
    const { skipped, isScheduled } = await replays.show("scheduled-sub");
    return isScheduled && skipped.exhausted === 1;
  });
  expect(sent("never")).toBe(3);
  const byHand = await replays.ended(await replays.start());
  expect(byHand).toMatchObject({ state: "done", failed: 1, isScheduled: false });
  expect(sent("never")).toBe(4);
});

test("nothing is replayed while the subscription is interrupted", async () => {
  const respond = ({ body }: { body: Buffer }) => (body.toString() === "letter" ? 404 : 500);
  await using setup = await setUpLetters({ respond });
  await addLetterStream(setup, "DLQ");
  const { receiver } = setup;
  await setup.publish("letter");
  await setup.publish("interrupts");
  await using relay = await setup.start(scheduled(1));
  await eventually(() => isInState(relay, "sub", "failed"));
  receiver.respond(() => 200);
  const since = performance.now();
  await eventually(() => performance.now() - since > 2.5 * INTERVAL_MS);
  expect(receiver.requests).toHaveLength(2);
  const replays = await openReplays(relay);
  expect((await replays.call("GET", "/api/replays")).body.items).toEqual([]);
  await replays.call("POST", "/api/subscriptions/sub/resume");
  await eventually(() => receiver.requests.filter(({ body }) => body.toString() === "letter").length === 2);
});
