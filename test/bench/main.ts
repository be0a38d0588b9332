// `npm run bench`: Relay against a bare loop, in one run, as ratios.
//
// Both run all the time, and deliver in turns of a second or so, one at rest while the other is at it: what the neighbours of the
// machine do hits both alike, and both are warm.
//
// `--quick`: fewer turns. `--qos AUTO`: only that. `--ordered`: only what a window and keys are worth.
// `--log`: AUTO with and without a record of each message. `--soak N`: N messages under AUTO, for the memory.

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { startNatsServer } from "../support/nats-server.ts";
import { BINARY, startRelay } from "../support/relay.ts";
import {
  bareLoopFor,
  type Contender,
  describeRatios,
  type Lane,
  median,
  openLane,
  type Rate,
  relayFor,
  type Shape,
} from "./lane.ts";
import { compareOrdered } from "./ordered.ts";
import { readProcess } from "./process.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
    ordered: { type: "boolean", default: false },
    qos: { type: "string" },
    soak: { type: "string" },
  },
});
const PACED_SECONDS = values.quick ? 2 : 10;
/** Nothing is measured in the first turns, while the compilers of both are at it. */
const WARM_UP_TURNS = values.quick ? 2 : 12;
/** How many messages are a turn, by their size, and how many turns are measured. */
const CASES = [
  { qos: "NONE", connections: 20, turn: { 256: 10_000, 16_384: 5000 }, turns: 5 },
  { qos: "AUTO", connections: 20, turn: { 256: 15_000, 16_384: 10_000 }, turns: 15 },
  { qos: "AT_LEAST_ONCE", connections: 1, turn: { 256: 2000, 16_384: 2000 }, turns: 41 },
  { qos: "AT_MOST_ONCE", connections: 1, turn: { 256: 500, 16_384: 500 }, turns: 5 },
] as const;
const ORDERED_TURNS = values.quick ? 1 : 3;
const SOAK_TURN = 20_000;
const REST_MS = 20_000;
const SIZES = [256, 16_384] as const;

interface Ratios {
  readonly rate: number[];
  readonly cpu: number[];
}

/** Both in turn, again and again. Returns how the contender compares with the base in each turn. */
async function race(
  base: Contender,
  contender: Contender,
  { turn, turns }: { turn: number; turns: number },
): Promise<Ratios> {
  const maxMessages = turn * WARM_UP_TURNS;
  await using baseLane = await openLane(base, maxMessages);
  await using lane = await openLane(contender, maxMessages);
  await baseLane.turn(maxMessages);
  await lane.turn(maxMessages);
  const rates: (readonly [Rate, Rate])[] = [];
  for (let index = 0; index < turns; index += 1) {
    rates.push([await baseLane.turn(turn), await lane.turn(turn)]);
  }
  console.log(await measureRow(base, baseLane, { rates: rates.map(([rate]) => rate) }));
  console.log(await measureRow(contender, lane, { rates: rates.map(([, rate]) => rate) }));
  return {
    rate: rates.map(([first, second]) => second.perSecond / first.perSecond),
    cpu: rates.map(([first, second]) => second.cpuMicros / first.cpuMicros),
  };
}

/** Its row, once its messages have come slowly too. */
async function measureRow(
  { who, shape }: Contender,
  lane: Lane,
  { rates }: { rates: readonly Rate[] },
): Promise<string> {
  const { p50Ms, p99Ms } = await lane.pace(PACED_SECONDS);
  const { residentBytes, peakBytes } = await readProcess(lane.pid);
  return [
    shape.qos.padEnd(13),
    `${shape.bytes} B`.padStart(8),
    who.padEnd(5),
    median(rates.map((rate) => rate.perSecond))
      .toFixed(0)
      .padStart(8),
    median(rates.map((rate) => rate.cpuMicros))
      .toFixed(1)
      .padStart(8),
    p50Ms.toFixed(2).padStart(7),
    p99Ms.toFixed(2).padStart(7),
    (residentBytes / 1e6).toFixed(0).padStart(7),
    (peakBytes / 1e6).toFixed(0).padStart(7),
  ].join(" ");
}

async function compare(): Promise<void> {
  console.log(`${cpus()[0]?.model ?? "?"}, ${cpus().length} cores\n`);
  console.log("QoS               size who        /s  CPU us   p50 ms  p99 ms  RSS MB peak MB");
  for (const bytes of SIZES) {
    for (const { qos, connections, turn, turns } of CASES.filter(
      (one) => one.qos === (values.qos ?? one.qos),
    )) {
      const shape: Shape = { qos, connections, bytes };
      const ratios = await race(bareLoopFor(shape), relayFor(shape), {
        turn: turn[bytes],
        turns: values.quick ? 3 : turns,
      });
      console.log(`${qos}, ${bytes} B, against the bare loop: rate ${describeRatios(ratios.rate)},`);
      console.log(`  CPU per message ${describeRatios(ratios.cpu)}\n`);
    }
  }
}

/** From exec to being ready: the median of ten starts. */
async function measureStart(): Promise<void> {
  await using nats = await startNatsServer();
  const times: number[] = [];
  for (let index = 0; index < 10; index += 1) {
    const startedAt = performance.now();
    await using relay = await startRelay({
      config: {
        nats: { servers: [nats.url] },
        endpoints: [{ name: "bench", type: "jetstream", consumer: { stream: "BENCH" } }],
        entrypoints: [{ type: "webhook" }],
        subscriptions: [
          { id: "bench", configuration: { entrypointId: "webhook", callbackUrl: "http://127.0.0.1:9/" } },
        ],
      },
    });
    await relay.logged("Connected to NATS");
    times.push(performance.now() - startedAt);
  }
  const megabytes = (Bun.file(BINARY).size / 1e6).toFixed(0);
  console.log(
    `\nConnected ${median(times).toFixed(0)} ms after its start (median of 10); binary ${megabytes} MB`,
  );
}

/** AUTO with the whole delivery log against AUTO with what is recorded anyway. */
async function compareLog(): Promise<void> {
  const shape: Shape = { qos: "AUTO", connections: 20, bytes: 256 };
  const everything: Shape = { ...shape, entrypoint: { sampling: { type: "ALL" } } };
  const ratios = await race(relayFor(shape), relayFor(everything, "log"), {
    turn: 15_000,
    turns: values.quick ? 3 : 15,
  });
  console.log(`AUTO with log ALL: ${describeRatios(ratios.rate)} of its rate without`);
}

async function soak(messages: number): Promise<void> {
  const contender = relayFor({ qos: "AUTO", connections: 20, bytes: 256 });
  await using lane = await openLane(contender, SOAK_TURN);
  const rates: Rate[] = [];
  for (let left = messages; left > 0; left -= SOAK_TURN)
    rates.push(await lane.turn(Math.min(left, SOAK_TURN)));
  console.log(await measureRow(contender, lane, { rates }));
  await Bun.sleep(REST_MS);
  const { residentBytes } = await readProcess(lane.pid);
  console.log(`${(residentBytes / 1e6).toFixed(0)} MB after ${REST_MS / 1000} s of rest`);
}

if (values.ordered) {
  await compareOrdered({ turns: ORDERED_TURNS });
} else if (values.log) {
  await compareLog();
} else if (values.soak === undefined) {
  await compare();
  if (values.qos === undefined) {
    await compareOrdered({ turns: ORDERED_TURNS });
    await compareLog();
  }
  await measureStart();
} else {
  await soak(Number(values.soak));
}
process.exit(0);
