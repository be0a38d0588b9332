// A short run of the chaos program: three nats-servers with replicated streams, two relays, random faults from a seed.

import { expect, test } from "bun:test";
import { runChaos } from "./chaos.ts";

const SECONDS = 30;
const SEED = 7;

test(`${SECONDS} s of faults: nothing lost, nothing out of order, no letter twice, nothing stuck`, async () => {
  const { rows, faults, broken } = await runChaos({ seed: SEED, seconds: SECONDS });
  console.log(faults, rows);
  expect(broken).toEqual([]);
}, 180_000);
