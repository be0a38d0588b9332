// What the window and keys are worth to an ordered subscription: each against the same relay without them, in turns.

import { type Contender, describeRatios, median, openLane, relayFor, type Shape } from "./lane.ts";

interface Comparison {
  readonly what: string;
  readonly base: Side;
  readonly contender: Side;
}

interface Side {
  readonly name: string;
  readonly shape: Shape;
  /** How many messages are a turn. */
  readonly turn: number;
}

const ONE_AT_A_TIME = { ordering: { window: 1 } };
const BY_SUBJECT = { ordering: { key: "subject" } };
const STRICT = { qos: "AT_LEAST_ONCE", connections: 1, bytes: 256 } as const;
const FAR = { ...STRICT, callbackMs: 1, roundTripMs: 150 };
const SLOW = { ...STRICT, connections: 10, callbackMs: 50, entrypoint: BY_SUBJECT };
const ONCE = { ...STRICT, qos: "AT_MOST_ONCE" } as const;

const COMPARISONS: readonly Comparison[] = [
  {
    what: "AT_LEAST_ONCE, link of 150 ms, callback of 1 ms",
    base: { name: "one at a time", shape: { ...FAR, entrypoint: ONE_AT_A_TIME }, turn: 20 },
    contender: { name: "window", shape: FAR, turn: 1500 },
  },
  {
    what: "AT_LEAST_ONCE, callback of 1 ms",
    base: { name: "NATS near", shape: { ...STRICT, callbackMs: 1 }, turn: 1500 },
    contender: { name: "over a link of 150 ms", shape: FAR, turn: 1500 },
  },
  {
    what: "AT_LEAST_ONCE, callback of 50 ms",
    base: { name: "one key", shape: SLOW, turn: 40 },
    contender: { name: "10 keys", shape: { ...SLOW, subjects: 10 }, turn: 400 },
  },
  {
    what: "AT_MOST_ONCE",
    base: { name: "one at a time", shape: { ...ONCE, entrypoint: ONE_AT_A_TIME }, turn: 400 },
    contender: { name: "window", shape: ONCE, turn: 1200 },
  },
];

export async function compareOrdered({ turns }: { turns: number }): Promise<void> {
  for (const comparison of COMPARISONS) console.log(await measure(comparison, turns));
}

async function measure({ what, base, contender }: Comparison, turns: number): Promise<string> {
  const maxMessages = 4 * Math.max(base.turn, contender.turn);
  await using baseLane = await openLane(toContender(base), maxMessages);
  await using lane = await openLane(toContender(contender), maxMessages);
  await baseLane.turn(base.turn);
  await lane.turn(contender.turn);
  const rates: { base: number; contender: number }[] = [];
  for (let index = 0; index < turns; index += 1) {
    const { perSecond } = await baseLane.turn(base.turn);
    rates.push({ base: perSecond, contender: (await lane.turn(contender.turn)).perSecond });
  }
  const rateOf = (side: "base" | "contender") => median(rates.map((rate) => rate[side])).toFixed(0);
  return [
    `${what}: ${base.name} ${rateOf("base")}/s, ${contender.name} ${rateOf("contender")}/s,`,
    `  ${describeRatios(rates.map((rate) => rate.contender / rate.base))} times\n`,
  ].join("\n");
}

function toContender({ name, shape }: Side): Contender {
  return relayFor(shape, name);
}
