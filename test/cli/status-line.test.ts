// One line for `systemctl status`, whatever it has to say.

import { expect, test } from "bun:test";
import { toStatusLine } from "#cli/status-line.ts";

const READY = { isReady: true, reasons: [], idle: [] };

test.each([
  [{ readiness: READY, states: [], refused: null }, "Ready; no subscriptions"],
  [
    { readiness: READY, states: ["failed", "running", "running"], refused: null },
    "Ready; 1 failed, 2 running",
  ],
  [
    {
      readiness: { isReady: false, reasons: ["NATS is not connected", "x"], idle: [] },
      states: ["waiting"],
      refused: "relay.config.json: 1 fault\n  line 2",
    },
    "Not ready: NATS is not connected (and 1 more); 1 waiting; config refused: relay.config.json: 1 fault   line 2",
  ],
])("toStatusLine(%j)", (facts, expected) => {
  expect(toStatusLine(facts)).toBe(expected);
});

test("toStatusLine() is short", () => {
  const line = toStatusLine({ readiness: READY, states: [], refused: "x".repeat(10_000) });
  expect(line.length).toBe(300);
});
