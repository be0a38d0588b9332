// The stream of deliveries ends with the session that it was asked for in, whatever is still to come.

import { expect, test } from "bun:test";
import { EVERY_RECORD } from "#delivery/record.ts";
import { streamDeliveries } from "#http/delivery-stream.ts";
import { openTestLog, toMessage, toRecord } from "../delivery-log/records.ts";

test("streamDeliveries() sends what is recorded until its caller is admitted no longer, and ends then", async () => {
  await using own = await openTestLog();
  let isAdmitted = true;
  const stream = streamDeliveries(own.log, {
    host: "edge-7",
    filter: EVERY_RECORD,
    after: 0,
    redact: (record) => record,
    tellsPlace: true,
    isStillAdmitted: () => isAdmitted,
  });
  const reader = stream.getReader();
  const readText = async () => Buffer.from((await reader.read()).value ?? []).toString();
  expect(await readText()).toStartWith("retry: ");
  own.log.append(toRecord({ message: toMessage("of-the-session") }));
  expect(await readText()).toContain("of-the-session");
  const after = reader.read();
  isAdmitted = false;
  own.log.append(toRecord({ message: toMessage("after-the-session") }));
  expect(await after).toEqual({ done: true, value: undefined });
});
