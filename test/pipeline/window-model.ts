// A model of two relays that run the window of the relay itself, and of a consumer that gives messages out again.
//
// A world is a value, and each step one that may come next: a delivery, an answer, a freeze, a late acknowledgement. Time is only
// whether the ack wait of a relay is over. What is looked for is a first request after that of a later message of its key.

import { type ConsumerCount, createWindow, type Window, type WindowMessage } from "#pipeline/window.ts";

/** What is taken out of the rules, to see that it is missed. */
export type Breach =
  | "none"
  /** It sends what it holds, whatever else is out. */
  | "no gathering"
  /** The count alone tells that all is here. */
  | "no asking back"
  /** It does not look at the consumer sequence. */
  | "no gaps";

/** How often something may happen. */
export interface Budgets {
  /** The other relay takes the lease; the former one hears of it at any later time. */
  readonly takeovers: number;
  readonly freezes: number;
  /** A relay that is killed, and started again. */
  readonly kills: number;
  /** The server is killed, and has forgotten what it did last. */
  readonly crashes: number;
  /** Answers that make the relay try again. */
  readonly failures: number;
  /** Acknowledgements that come to the server at any later time. */
  readonly lateAcks: number;
  /** Answers of the server, to how many there are, that come to the relay at any later time. */
  readonly lateCounts: number;
  /** How often a relay without the lease, which has not heard of that yet, asks how many there are. */
  readonly deposedCounts: number;
}

export interface ModelOptions extends Budgets {
  /** The key of each message, from sequence 1 on. */
  readonly keys: string;
  /** How many may be unacknowledged. */
  readonly maxAckPending: number;
  readonly places: number;
  readonly breach: Breach;
}

interface Pending {
  readonly sequence: number;
  /** -1: nobody has it. */
  readonly holder: number;
  /** It was given back, or its ack wait is over. */
  readonly isDue: boolean;
}

interface Consumer {
  readonly next: number;
  readonly sequence: number;
  readonly pending: readonly Pending[];
}

interface Delivered {
  readonly sequence: number;
  readonly deliveryCount: number;
  readonly consumerSequence: number;
}

interface Relay {
  readonly window: Known;
  /** The consumer sequence of its newest delivery; null: none on this connection. */
  readonly last: number | null;
  /** That of the count that it remembers; null: it remembers none. */
  readonly countedAt: number | null;
  /** It pulls, for it believes that it has the lease. */
  readonly isActive: boolean;
  readonly isFrozen: boolean;
  /** Its ack wait has passed without contact. */
  readonly isSilent: boolean;
  /** An answer on its way. */
  readonly asked: ConsumerCount | null;
  /** Acknowledgements on their way. */
  readonly acks: readonly number[];
  /** In flight; `isOwn`: of the window that it has now. */
  readonly requests: readonly { readonly sequence: number; readonly isOwn: boolean }[];
  /** What its guard remembers. */
  readonly done: readonly number[];
  /** Came while it was frozen. */
  readonly inbox: readonly Delivered[];
}

export interface World {
  readonly consumer: Consumer;
  /** As it was on disk before the last change. */
  readonly former: Consumer;
  readonly relays: readonly [Relay, Relay];
  readonly owner: number;
  readonly requested: readonly number[];
  readonly delivered: number;
  readonly budgets: Budgets;
  /** The first request that came out of order; null: none has. */
  readonly inversion: string | null;
}

export interface Step {
  readonly name: string;
  readonly world: World;
}

/** What a window is told; consumer sequences from that of its newest delivery on. */
type Told =
  | {
      readonly kind: "hold";
      readonly sequence: number;
      readonly deliveryCount: number;
      readonly distance: number;
    }
  | { readonly kind: "pass"; readonly distance: number }
  | { readonly kind: "count"; readonly distance: number; readonly ackPending: number }
  | { readonly kind: "regather" }
  | { readonly kind: "send" }
  | { readonly kind: "complete"; readonly sequence: number }
  | { readonly kind: "put back"; readonly sequence: number };

/** A window in one of its states, of which there are few: made once, by telling one all that leads to it. */
interface Known {
  readonly history: readonly Told[];
  readonly look: string;
  readonly state: Window<null>["state"];
  readonly room: number;
  readonly counted: number;
  /** From its newest delivery to the count that it remembers; 0 also if there is none. */
  readonly countDistance: number;
  /** What it would send; null: nothing. */
  readonly sendable: number | null;
  readonly next: Map<string, Answered>;
}

interface Answered {
  readonly window: Known;
  readonly givenBack: readonly number[];
  /** It takes the consumer sequence that it was told for that of its newest delivery. */
  readonly isTaken: boolean;
  /** It remembers the count. */
  readonly isRemembered: boolean;
}

export interface Model {
  readonly start: World;
  readonly steps: (world: World) => readonly Step[];
  /** Two worlds of one look have the same future. */
  readonly look: (world: World) => string;
  readonly isDone: (world: World) => boolean;
}

/** Of a frozen relay, whose pull goes on. */
const MAX_INBOX = 1;
/** It is not the next one. */
const FAR = 3;

export function createModel(options: ModelOptions): Model {
  const { keys, breach, maxAckPending } = options;
  const windows = new Map<string, Known>();
  const fresh = knownOf([]);

  function keyOf(sequence: number): string {
    return keys[sequence - 1] ?? "";
  }

  function knownOf(history: readonly Told[]): Known {
    const { window } = build(history);
    const look = lookOfWindow(window);
    const { counts, lastDelivery, counted } = window.describe();
    const countDistance = (counts?.consumerSequence ?? 0) - (counts === null ? 0 : (lastDelivery ?? 0));
    const name = `${look} ${counts === null ? "" : `${countDistance}/${counts.ackPending}`}`;
    const known = windows.get(name);
    if (known !== undefined) return known;
    const { state, room } = window;
    const made: Known = {
      history,
      look,
      state,
      room: room().messages,
      counted: counted.length,
      countDistance,
      sendable: window.next()?.sequence ?? null,
      next: new Map(),
    };
    windows.set(name, made);
    return made;
  }

  function build(history: readonly Told[]) {
    const window = createWindow<null>({
      messages: maxAckPending,
      bytes: 1000,
      places: options.places,
      preparesAhead: false,
      gathers: true,
      onForgotten: () => {},
    });
    let last = 100;
    let givenBack: readonly number[] = [];
    for (const told of history) {
      const lastDelivery = window.describe().lastDelivery ?? last;
      if ("distance" in told) last = lastDelivery + told.distance;
      givenBack = tellWindow(window, told, last);
    }
    const { lastDelivery, counts } = window.describe();
    return { window, givenBack, isTaken: lastDelivery === last, isRemembered: counts !== null };
  }

  function tellWindow(window: Window<null>, told: Told, consumerSequence: number): readonly number[] {
    const find = (sequence: number): WindowMessage<null> => {
      for (const message of window.held()) if (message.sequence === sequence) return message;
      throw new Error(`Message ${sequence} is not held`);
    };
    switch (told.kind) {
      case "hold": {
        const { sequence, deliveryCount } = told;
        const message = { sequence, timestampNanos: 0n, deliveryCount, key: keyOf(sequence) };
        window.hold({ ...message, consumerSequence, bytes: 1, value: null });
        return [];
      }
      case "pass":
        window.pass(consumerSequence);
        return [];
      case "count": {
        const asked = window.count({ consumerSequence, ackPending: told.ackPending });
        return asked.map(({ sequence }) => sequence);
      }
      case "regather":
        window.regather();
        return [];
      case "send":
        window.next();
        return [];
      case "complete":
        window.complete(find(told.sequence), { isDelivered: true });
        return [];
      case "put back":
        window.putBack(find(told.sequence));
        return [];
    }
  }

  function tell(relay: Relay, told: Told): Omit<Answered, "window"> & { readonly relay: Relay } {
    const name = JSON.stringify(told);
    let next = relay.window.next.get(name);
    if (next === undefined) {
      const history = [...relay.window.history, told];
      const { window: _, ...answered } = build(history);
      next = { window: knownOf(history), ...answered };
      relay.window.next.set(name, next);
    }
    const { window, ...answered } = next;
    return { relay: { ...relay, window }, ...answered };
  }

  /** Of a count: it matters only whether it is that of the newest delivery, or of the count before. */
  function distanceOf({ consumerSequence }: ConsumerCount, { last, countedAt, window }: Relay): number {
    if (last === null || consumerSequence === last) return 0;
    if (consumerSequence === countedAt) return window.countDistance;
    return window.countDistance === FAR ? FAR + 1 : FAR;
  }

  function receive(relay: Relay, { sequence, deliveryCount, consumerSequence }: Delivered): Relay {
    const isNext = breach === "no gaps" || relay.last === null || consumerSequence === relay.last + 1;
    const how = isNext ? 1 : FAR;
    const received = { ...relay, last: consumerSequence, countedAt: null };
    if (!relay.done.includes(sequence))
      return pretend(tell(received, { kind: "hold", sequence, deliveryCount, distance: how }).relay);
    return tell({ ...received, acks: withNumber(relay.acks, sequence) }, { kind: "pass", distance: how })
      .relay;
  }

  /** Without gathering it is told that it has all, and has it again at once. */
  function pretend(relay: Relay): Relay {
    if (breach !== "no gathering" || relay.window.state === "current") return relay;
    return hearCount(relay, { distance: 0, ackPending: relay.window.counted }, true).relay;
  }

  function hearCount(
    relay: Relay,
    count: { readonly distance: number; readonly ackPending: number },
    comesAgain: boolean,
  ): ReturnType<typeof tell> {
    const heard = tell(relay, { kind: "count", ...count });
    if (!comesAgain) return heard;
    let again = heard.relay;
    for (const sequence of heard.givenBack)
      again = tell(again, { kind: "hold", sequence, deliveryCount: 2, distance: 1 }).relay;
    return { ...heard, relay: again, givenBack: [] };
  }

  function change(world: World, next: Partial<Consumer>): World {
    return { ...world, former: world.consumer, consumer: { ...world.consumer, ...next } };
  }

  function withRelay(world: World, number: number, changes: Partial<Relay>): World {
    const [first, second] = world.relays;
    return {
      ...world,
      relays: number === 0 ? [{ ...first, ...changes }, second] : [first, { ...second, ...changes }],
    };
  }

  function spend(world: World, budget: keyof Budgets): World {
    return { ...world, budgets: { ...world.budgets, [budget]: world.budgets[budget] - 1 } };
  }

  /** Those due come before new ones; null: nothing can be delivered. */
  function nextDelivery({ next, pending }: Consumer): number | null {
    const due = pending.find(({ isDue }) => isDue);
    if (due !== undefined) return due.sequence;
    return pending.length < maxAckPending && next <= keys.length ? next : null;
  }

  function deliver(world: World, holder: number, sequence: number): World {
    const { consumer } = world;
    const relay = world.relays[holder] ?? world.relays[0];
    const others = consumer.pending.filter((other) => other.sequence !== sequence);
    const pending = [...others, { sequence, holder, isDue: false }].sort((a, b) => a.sequence - b.sequence);
    const next = Math.max(consumer.next, sequence + 1);
    const changed = change(world, { next, sequence: consumer.sequence + 1, pending });
    const deliveryCount = sequence === consumer.next ? 1 : 2;
    const told = { sequence, deliveryCount, consumerSequence: consumer.sequence + 1 };
    const inbox = [...relay.inbox, told];
    return withRelay(changed, holder, relay.isFrozen ? { inbox } : receive(relay, told));
  }

  function thaw(world: World, number: number, relay: Relay): World {
    let awake: Relay = { ...relay, isFrozen: false, inbox: [] };
    for (const told of relay.inbox) awake = receive(awake, told);
    return withRelay(world, number, awake);
  }

  function hear(world: World, number: number, relay: Relay, asked: ConsumerCount): World {
    const isLie = breach === "no gathering" || breach === "no asking back";
    const count =
      breach === "no gathering"
        ? { distance: 0, ackPending: relay.window.counted }
        : {
            distance: breach === "no gaps" ? 0 : distanceOf(asked, relay),
            ackPending: asked.ackPending,
          };
    const heard = hearCount({ ...relay, asked: null }, count, isLie);
    const last = heard.isTaken ? asked.consumerSequence : relay.last;
    let next = withRelay(world, number, {
      ...heard.relay,
      last,
      countedAt: heard.isRemembered ? asked.consumerSequence : null,
    });
    for (const sequence of heard.givenBack) next = giveBack(next, sequence);
    return next;
  }

  function giveBack(world: World, sequence: number): World {
    const pending = world.consumer.pending.map((other) =>
      other.sequence === sequence ? { ...other, isDue: true } : other,
    );
    return change(world, { pending });
  }

  function send(world: World, number: number, relay: Relay, sequence: number): World {
    const requests = [...relay.requests, { sequence, isOwn: true }];
    const sent = withRelay(world, number, { ...tell(relay, { kind: "send" }).relay, requests });
    if (world.requested.includes(sequence)) return sent;
    const later = world.requested.find((other) => other > sequence && keyOf(other) === keyOf(sequence));
    const inversion = later === undefined ? null : `${sequence} after ${later}`;
    return { ...sent, inversion, requested: withNumber(world.requested, sequence) };
  }

  function answer(world: World, number: number, relay: Relay, request: Relay["requests"][number]): World {
    const { sequence } = request;
    const told = request.isOwn ? tell(relay, { kind: "complete", sequence }).relay : relay;
    const answered = withRelay(world, number, {
      ...told,
      requests: relay.requests.filter((other) => other !== request),
      done: withNumber(relay.done, sequence),
      acks: withNumber(relay.acks, sequence),
    });
    return { ...answered, delivered: world.delivered | (1 << sequence) };
  }

  function fail(world: World, number: number, relay: Relay, request: Relay["requests"][number]): World {
    const { sequence } = request;
    const { relay: told } = tell(relay, { kind: "put back", sequence });
    return withRelay(world, number, {
      ...told,
      requests: relay.requests.filter((other) => other !== request),
    });
  }

  function acknowledge(world: World, number: number, sequence: number): World {
    const relay = world.relays[number] ?? world.relays[0];
    const told = withRelay(world, number, { acks: relay.acks.filter((other) => other !== sequence) });
    const pending = world.consumer.pending.filter((other) => other.sequence !== sequence);
    return pending.length === world.consumer.pending.length ? told : change(told, { pending });
  }

  /** What it held is left to its ack wait; what is in flight goes on. */
  function startAnew(world: World, number: number, relay: Relay): World {
    const disown = (consumer: Consumer): Consumer => ({
      ...consumer,
      pending: consumer.pending.map((other) => (other.holder === number ? { ...other, holder: -1 } : other)),
    });
    const { consumer, former } = world;
    return withRelay({ ...world, consumer: disown(consumer), former: disown(former) }, number, {
      window: fresh,
      last: null,
      countedAt: null,
      isActive: world.owner === number,
      isSilent: false,
      asked: null,
      inbox: [],
      requests: relay.requests.map(({ sequence }) => ({ sequence, isOwn: false })),
    });
  }

  /** The server comes back as it was on disk, and nobody is connected any more. */
  function crash(world: World): World {
    const pending = world.former.pending.map((other) => ({ ...other, holder: -1 }));
    const consumer = { ...world.former, pending };
    let next: World = { ...world, consumer, former: consumer };
    for (const [number, relay] of world.relays.entries())
      next = withRelay(next, number, {
        ...tell(relay, { kind: "regather" }).relay,
        last: null,
        countedAt: null,
        asked: null,
        inbox: [],
      });
    return next;
  }

  /** Its ack wait is over: so it is for who has it. */
  function expire(world: World, { sequence, holder }: Pending): World {
    const expired = giveBack(world, sequence);
    return holder < 0 ? expired : withRelay(expired, holder, { isSilent: true });
  }

  function stepsOf(world: World, number: number): Step[] {
    const relay = world.relays[number] ?? world.relays[0];
    const { budgets, owner, consumer } = world;
    const steps: Step[] = [];
    const add = (name: string, next: World) =>
      steps.push({ name: `relay ${number + 1}: ${name}`, world: next });
    const isAway = relay.isSilent;
    for (const sequence of relay.acks)
      add(`the acknowledgement of ${sequence} arrives`, acknowledge(world, number, sequence));
    const next = relay.isActive && !isAway ? nextDelivery(consumer) : null;
    const isFull = relay.inbox.length >= MAX_INBOX || relay.window.room <= relay.inbox.length;
    if (next !== null && !isFull) add(`is delivered ${next}`, deliver(world, number, next));
    if (relay.isFrozen) add("thaws", thaw(world, number, relay));
    if (relay.isFrozen) return steps;
    for (const request of relay.requests) {
      const { sequence, isOwn } = request;
      const answered = answer(world, number, relay, request);
      add(`${sequence} is delivered`, acknowledge(answered, number, sequence));
      if (budgets.lateAcks > 0)
        add(`${sequence} is delivered, acknowledged late`, spend(answered, "lateAcks"));
      if (budgets.failures > 0 && isOwn)
        add(`${sequence} fails`, spend(fail(world, number, relay, request), "failures"));
    }
    const isDeposed = relay.isActive && owner !== number;
    if (isAway || isDeposed) add("starts anew", startAnew(world, number, relay));
    if (isAway) return steps;
    if (owner !== number && budgets.takeovers > 0)
      add(
        "takes over",
        spend({ ...withRelay(world, number, { isActive: true }), owner: number }, "takeovers"),
      );
    if (!relay.isActive) return steps;
    if (relay.asked !== null) add("hears the count", hear(world, number, relay, relay.asked));
    else if (relay.window.state !== "current") steps.push(...countsOf(world, number, isDeposed));
    // Its heartbeat stops it.
    const sendable = relay.isSilent ? null : relay.window.sendable;
    if (sendable !== null) add(`sends ${sendable}`, send(world, number, relay, sendable));
    if (budgets.freezes > 0) add("freezes", spend(withRelay(world, number, { isFrozen: true }), "freezes"));
    if (budgets.kills > 0)
      add("is killed", spend(startAnew(world, number, { ...relay, requests: [] }), "kills"));
    return steps;
  }

  function countsOf(world: World, number: number, isDeposed: boolean): Step[] {
    const { sequence: consumerSequence, pending } = world.consumer;
    const asked = { consumerSequence, ackPending: pending.length };
    if (isDeposed && world.budgets.deposedCounts === 0) return [];
    const asking = isDeposed ? spend(world, "deposedCounts") : world;
    const relay = asking.relays[number] ?? asking.relays[0];
    const steps = [{ name: `relay ${number + 1}: counts`, world: hear(asking, number, relay, asked) }];
    if (world.budgets.lateCounts === 0) return steps;
    const late = spend(withRelay(asking, number, { asked }), "lateCounts");
    return [...steps, { name: `relay ${number + 1}: asks`, world: late }];
  }

  function steps(world: World): readonly Step[] {
    const all = [...stepsOf(world, 0), ...stepsOf(world, 1)];
    for (const pending of world.consumer.pending) {
      const { sequence, holder, isDue } = pending;
      const relay = world.relays[holder];
      const isOver = relay === undefined || relay.isFrozen || relay.isSilent;
      if (!isDue && isOver)
        all.push({ name: `the ack wait of ${sequence} ends`, world: expire(world, pending) });
    }
    if (world.budgets.crashes > 0)
      all.push({ name: "the server crashes", world: crash(spend(world, "crashes")) });
    return all;
  }

  const idle: Relay = {
    window: fresh,
    last: null,
    countedAt: null,
    isActive: false,
    isFrozen: false,
    isSilent: false,
    asked: null,
    acks: [],
    requests: [],
    done: [],
    inbox: [],
  };
  const { takeovers, freezes, kills, crashes, failures, lateAcks, lateCounts, deposedCounts } = options;
  const consumer: Consumer = { next: 1, sequence: 0, pending: [] };
  return {
    start: {
      consumer,
      former: consumer,
      relays: [{ ...idle, isActive: true }, idle],
      owner: 0,
      requested: [],
      delivered: 0,
      budgets: { takeovers, freezes, kills, crashes, failures, lateAcks, lateCounts, deposedCounts },
      inversion: null,
    },
    steps,
    look: lookOf,
    isDone: ({ delivered }) => delivered === 2 ** (keys.length + 1) - 2,
  };
}

function ascending(left: number, right: number): number {
  return left - right;
}

function withNumber(numbers: readonly number[], added: number): readonly number[] {
  return numbers.includes(added) ? numbers : [...numbers, added].sort(ascending);
}

/** Of two relays it does not matter which is which. */
function lookOf(world: World): string {
  const { consumer, requested, delivered, budgets } = world;
  const former = budgets.crashes > 0 ? world.former : null;
  const relays = world.relays.map((relay, number) => lookOfRelay(world, { relay, number, former })).sort();
  const consumers = [consumer, ...(former === null ? [] : [former])].map(
    ({ next, pending }) =>
      `${next} ${pending.map(({ sequence, isDue }) => sequence + (isDue ? "!" : "")).join()}`,
  );
  return [...relays, ...consumers, requested.join(), delivered, Object.values(budgets).join()].join("|");
}

function lookOfRelay(
  { consumer, owner }: World,
  { relay, number, former }: { relay: Relay; number: number; former: Consumer | null },
): string {
  const { window, last, countedAt, asked, inbox, acks, requests, done } = relay;
  const both = former === null ? [consumer] : [consumer, former];
  /** Numbers matter only where they are the same. */
  const isNow = (number: number | null) =>
    both.map(({ sequence }) => (number === sequence ? "=" : "")).join();
  /** What is acknowledged, and cannot be forgotten, never comes again. */
  const mayMatter = (sequence: number) =>
    both.some(
      ({ next, pending }) => sequence >= next || pending.some((other) => other.sequence === sequence),
    );
  const isCounted = countedAt !== null && both.some(({ sequence }) => sequence === countedAt);
  const askedAt = asked?.consumerSequence ?? null;
  return [
    window.state,
    window.room,
    window.look,
    last === null ? "-" : isNow(last),
    isCounted || (askedAt !== null && askedAt === countedAt) ? `c${isNow(countedAt)}` : "",
    `${relay.isActive ? "active" : ""}${owner === number ? "!" : ""}`,
    relay.isFrozen ? "frozen" : "",
    relay.isSilent ? "silent" : "",
    asked === null
      ? ""
      : [isNow(askedAt), askedAt === last, askedAt === countedAt, asked.ackPending].join("/"),
    inbox
      .map(
        ({ sequence, deliveryCount, consumerSequence }) =>
          `${sequence}${deliveryCount}${consumerSequence === (last ?? 0) + 1 ? "+" : ""}`,
      )
      .join(),
    acks.filter(mayMatter).join(),
    requests
      .map(({ sequence, isOwn }) => `${sequence}${isOwn ? "" : "-"}`)
      .sort()
      .join(),
    done.filter(mayMatter).join(),
    both.map(({ pending }) =>
      pending.flatMap((other) => (other.holder === number ? other.sequence : [])).join(),
    ),
  ].join(" ");
}

function lookOfWindow(window: Window<null>): string {
  const { lastDelivery, counted, missing, isWhole } = window.describe();
  const held = [...window.held()].map(({ sequence, state }) => `${sequence}${state === "queued" ? "" : "*"}`);
  return [
    window.state,
    lastDelivery === null ? "-" : "",
    held.sort().join(),
    counted.toSorted(ascending).join(),
    missing === null ? "" : `${missing.toSorted(ascending).join()}${isWhole ? "=" : "<"}`,
  ].join(" ");
}
