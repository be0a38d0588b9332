// What is said about a bucket that cannot be used: not at once, not for each try, not without a connection.

import { expect, test } from "bun:test";

import { createBucketFault } from "#bucket/fault.ts";

import { eventually } from "../support/eventually.ts";
import { createRecordingLogger } from "../support/nats.ts";

function faultOf(isConnected: () => boolean) {
  const logger = createRecordingLogger();
  const said = () => logger.lines.map(({ message, fields }) => `${message}: ${String(fields["reason"])}`);
  return { ...createBucketFault(isConnected, { logger, bucket: "relay" }), said };
}

test("set() logs a lasting fault, a change of its reason, and its end, each once", async () => {
  const fault = faultOf(() => true);
  expect(fault.current()).toBe("not read yet");
  fault.set("write", "no space");
  fault.set("read", "no permission");
  expect(fault.current()).toBe("no permission");
  expect(fault.said()).toEqual([]);
  await eventually(() => {
    fault.set("read", "no permission");
    return fault.said().length > 0;
  });
  for (let i = 0; i < 3; i += 1) fault.set("read", "no permission");
  fault.set("read", null);
  fault.set("read", null);
  fault.set("write", null);
  fault.set("write", null);
  expect(fault.current()).toBeNull();
  expect(fault.said()).toEqual([
    "Cannot use the bucket: no permission",
    "Cannot use the bucket: no space",
    "The bucket can be used again: undefined",
  ]);
});

test("set() logs nothing without a connection, nor right after a reconnect", async () => {
  let isConnected = false;
  const fault = faultOf(() => isConnected);
  const before = performance.now();
  await eventually(() => {
    fault.set("read", "no answer");
    return performance.now() - before > 1100;
  });
  expect(fault.current()).toBe("not connected to NATS");
  isConnected = true;
  fault.set("read", "no answer");
  await eventually(() => performance.now() - before > 2200);
  fault.reconnected();
  fault.set("read", "no answer");
  expect(fault.said()).toEqual([]);
  await eventually(() => {
    fault.set("read", "no answer");
    return fault.said().length > 0;
  });
});
