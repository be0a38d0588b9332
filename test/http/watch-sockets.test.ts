// A socket that is watched: told as long as it is gone, logged when it goes.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { listenSocket } from "#http/listen.ts";
import { watchSockets } from "#http/listeners.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { temporaryDirectory } from "../support/relay.ts";

test("watchSockets() tells what is wrong as long as one is gone, and logs it once", async () => {
  await using directory = await temporaryDirectory();
  const paths = ["a.sock", "b.sock"].map((name) => join(directory.path, name));
  const listeners = await Promise.all(paths.map((path) => listenSocket(path, () => new Response())));
  const logger = createRecordingLogger();
  const check = watchSockets(() => paths, { logger });
  expect(await check()).toBeNull();
  await rm(paths[1] ?? "");
  const gone = "The control socket is gone: restart the relay";
  expect([await check(), await check()]).toEqual([gone, gone]);
  expect(logger.lines).toEqual([{ level: "error", message: gone, fields: { paths: [paths[1]] } }]);
  await Promise.all(listeners.map((listener) => listener.close(0)));
});
