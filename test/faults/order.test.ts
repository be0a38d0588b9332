// A short run of the order program: two relays and a nats-server that are killed and frozen, from a seed.

import { expect, test } from "bun:test";
import { runOrder } from "./order.ts";

const SECONDS = 6;
const SEED = 5;

test(`${SECONDS} s of kills and freezes: nothing lost, nothing out of order`, async () => {
  const { row, faults, broken } = await runOrder({
    seed: SEED,
    seconds: SECONDS,
    servers: 1,
    relays: 2,
    ordering: "strict",
    qos: "AT_LEAST_ONCE",
    only: ["relay killed", "relay frozen", "server killed"],
    pauseMs: [500, 1500],
  });
  console.log(faults, row);
  expect(broken).toEqual([]);
}, 120_000);
