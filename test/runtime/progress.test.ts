// A call that is late is seen, one that waits within its limit is not.

import { expect, test } from "bun:test";
import type { Callback } from "#callback/client.ts";
import type { Message } from "#delivery/message.ts";
import { createProgress } from "#runtime/progress.ts";

test("lateMs() is how far the latest call is past its limit, until it ends", async () => {
  let time = 0;
  const ends: (() => void)[] = [];
  const progress = createProgress({ now: () => time });
  const hanging = () => new Promise<never>((_, reject) => ends.push(() => reject(new Error("ended"))));
  const callback = progress.watch({ send: hanging, prepare: hanging } as unknown as Callback, 1000);
  const signal = new AbortController().signal;
  const calls = [callback.send({} as Message, { mayResend: false, signal }), callback.prepare(signal)];
  const ended = Promise.allSettled(calls);
  expect(progress.lateMs()).toBe(0);
  time = 1000;
  expect(progress.lateMs()).toBe(0);
  time = 31_500;
  expect(progress.lateMs()).toBe(30_500);
  for (const end of ends) end();
  await ended;
  expect(progress.lateMs()).toBe(0);
});
