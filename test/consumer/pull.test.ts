import { expect, test } from "bun:test";

import { createPullRequests } from "#consumer/pull.ts";

interface Body {
  readonly idle_heartbeat?: number;
  readonly expires: number;
}

const PUMPS = [1, 100, 300, 700, 800, 1200, 1500, 2000, 5000];

test.each(PUMPS)(
  "createPullRequests() expects only the heartbeats that it asked for, with %p pumps",
  (pumps) => {
    const requests = createPullRequests({ acks: true, ackWaitMs: 30_000, pumps: () => pumps });
    for (const purpose of ["usual", "usual", "large"] as const) {
      const { body, silenceMs, expiresMs } = requests.next(
        { messages: 10, bytes: Number.POSITIVE_INFINITY },
        purpose,
      );
      const { idle_heartbeat: heartbeat } = JSON.parse(body) as Body;
      if (heartbeat === undefined) expect(silenceMs).toBe(Number.POSITIVE_INFINITY);
      else expect(heartbeat / 1e6).toBeLessThan(Math.min(silenceMs, expiresMs));
    }
  },
);

test("createPullRequests() asks for fewer heartbeats with more pumps, and for none if the pull ends first", () => {
  const heartbeatMs = (pumps: number) => {
    const { body } = createPullRequests({ acks: true, ackWaitMs: 30_000, pumps: () => pumps }).next(
      { messages: 1, bytes: Number.POSITIVE_INFINITY },
      "usual",
    );
    return ((JSON.parse(body) as Body).idle_heartbeat ?? 0) / 1e6;
  };
  expect(heartbeatMs(1)).toBe(2500);
  expect(heartbeatMs(1000)).toBe(0);
});
