// Adapts the load to what a callback takes: how many requests at a time, and how many a second, after a refusal. PURE.
//
// The number of requests at a time starts at 1 after an interruption. It doubles with each second in which something was answered
// and nothing refused, and halves with a refusal: a 429, a 503, no answer. One refusal counts for all requests that were in flight.
//
// A fast callback is too busy already with one request at a time. So, where it answers some requests and refuses others, they are
// spaced evenly too. The rate is searched between what was taken and what was refused: it stays just below the latter, and tries
// that again after some seconds. Without a refusal there is no rate.

import type { Outcome } from "#delivery/outcome.ts";
import { createTokenBucket, type TokenBucket } from "#lib/token-bucket.ts";

interface Ramp {
  /** Requests at a time. */
  readonly places: number;
  /** Requests a second; null: as many as there are. */
  readonly perSecond: number | null;
  /** Milliseconds until the next request may start. */
  delayMs: (now: number) => number;
  started: (now: number) => void;
  /** `inFlight`: how many were, this one included. */
  ended: (outcome: Outcome, at: { startedAt: number; now: number; inFlight: number }) => void;
  resize: (limit: number) => void;
  /** After an interruption: one at a time. */
  restart: () => void;
  /** The callback or its settings are others now: drops what was learned of its rate. */
  forget: () => void;
}

interface Second {
  readonly at: number;
  started: number;
  delivered: number;
  answered: number;
  refused: number;
}

const SECOND_MS = 1000;
/** After so long a refused level is tried again; doubles up to the maximum while it is refused again. */
const AGAIN_MS = { initial: 8000, max: 32_000 };
/** Near enough to the refused rate. */
const NEAR = 0.94;
/** Least part of what was delivered in the last second. */
const FLOOR = 0.7;
/** Higher rates are none. */
const MAX_PER_SECOND = 20_000;
/** Timers are late by up to so much: the bucket makes up for it. */
const LATE_MS = 2;

type Sign = "taken" | "answered" | "refused" | "silent" | "none";

export function createRamp(initialLimit: number): Ramp {
  let limit = initialLimit;
  let places = limit;
  /** It is of no use to try as many at a time before `againAt`. */
  let ceiling = Infinity;
  let pace: TokenBucket | null = null;
  let rate = Infinity;
  /** The rates that the callback took, and refused. */
  let taken = 0;
  let tooMuch = Infinity;
  let againAt = Number.NEGATIVE_INFINITY;
  let againMs = AGAIN_MS.initial;
  /** The pace has held something up since it was raised. */
  let isBinding = false;
  let cutAt = Number.NEGATIVE_INFINITY;
  let hasAnsweredSinceCut = true;
  /** No second without a refusal since the first one. */
  let isRefusing = false;
  let second = newSecond(Number.NEGATIVE_INFINITY);
  let former: Pick<Second, "started" | "delivered"> | null = null;

  function setRate(next: number, now: number): void {
    if (next > rate) isBinding = false;
    rate = next > MAX_PER_SECOND ? Infinity : next;
    if (rate === Infinity) return void (pace = null);
    const settings = { perSecond: rate, burst: 1 + Math.max(0.1, (rate * LATE_MS) / 1000) };
    if (pace !== null) return pace.change(settings, now);
    pace = createTokenBucket(settings);
    pace.take(now);
  }

  function turnSecond(now: number): void {
    const elapsed = now - second.at;
    if (elapsed < SECOND_MS) return;
    if (second.answered > 0 && second.refused === 0) grow((second.started * 1000) / elapsed, now);
    former = elapsed < 2 * SECOND_MS ? second : null;
    second = newSecond(now);
  }

  /** At the first refusal, so that the next second without one is over sooner. */
  function beginSecond(now: number): void {
    const elapsed = now - second.at;
    if (elapsed < SECOND_MS / 10) return;
    const factor = SECOND_MS / elapsed;
    former = { started: second.started * factor, delivered: second.delivered * factor };
    second = newSecond(now);
  }

  function grow(measured: number, now: number): void {
    const isOver = now >= againAt;
    isRefusing = false;
    places = Math.min(limit, places * 2, isOver ? Infinity : Math.max(places, ceiling - 1));
    if (isOver) ceiling = Infinity;
    taken = isBinding ? rate : Math.min(rate, Math.max(measured, taken * 0.9));
    if (rate < Infinity) raise(isOver, now);
  }

  function raise(isOver: boolean, now: number): void {
    if (tooMuch === Infinity) {
      if (now >= againAt + againMs) againMs = AGAIN_MS.initial;
      return setRate(rate * 2, now);
    }
    if (!isOver) {
      const between = Math.max((rate + tooMuch) / 2, tooMuch * 0.97 <= rate * 1.15 ? tooMuch * 0.97 : 0);
      return setRate(rate >= tooMuch * NEAR ? rate : Math.min(2 * rate, between), now);
    }
    setRate(Math.max(rate * 1.05, tooMuch), now);
    tooMuch = Infinity;
  }

  /** Of the last second, as far as there was one. */
  function recent(kind: "started" | "delivered", now: number): number {
    const elapsed = Math.max(1, Math.min(SECOND_MS, now - second.at));
    return former === null ? second[kind] : former[kind] * (1 - elapsed / SECOND_MS) + second[kind];
  }

  function cut(isAnswer: boolean, inFlight: number, now: number): void {
    cutAt = now;
    hasAnsweredSinceCut = false;
    places = Math.max(1, Math.floor(places / 2));
    const delivered = recent("delivered", now);
    // Where nothing is taken, the callback is away, not busy.
    if (!isAnswer || delivered === 0) return;
    const elapsed = Math.max(1, now - second.at);
    const measured = former === null ? (second.started * 1000) / elapsed : recent("started", now);
    const refused = Math.max(1, isBinding ? rate : Math.min(rate, measured));
    if (isRefusing) {
      taken = 0;
      return setRate(Math.max(1, refused / 2, Math.min(refused, FLOOR * delivered)), now);
    }
    isRefusing = true;
    ceiling = inFlight >= 2 ? Math.max(inFlight, places) : Infinity;
    tooMuch = refused;
    againAt = now + againMs;
    againMs = Math.min(AGAIN_MS.max, againMs * 2);
    setRate(taken > 0 && taken < refused ? taken : Math.max(1, refused / 2), now);
    beginSecond(now);
  }

  return {
    get places() {
      return places;
    },
    get perSecond() {
      return rate === Infinity ? null : rate;
    },
    delayMs(now) {
      const delayMs = pace?.delayMs(now) ?? 0;
      isBinding ||= delayMs > 0;
      return delayMs;
    },
    started(now) {
      turnSecond(now);
      second.started += 1;
      pace?.take(now);
    },
    ended(outcome, { startedAt, now, inFlight }) {
      const sign = signOf(outcome);
      if (sign === "none") return;
      turnSecond(now);
      if (sign === "taken" || sign === "answered") {
        second.answered += 1;
        if (sign === "taken") second.delivered += 1;
        hasAnsweredSinceCut = true;
        return;
      }
      const isNew = startedAt >= cutAt;
      if (isNew) second.refused += 1;
      if (isNew || !hasAnsweredSinceCut) cut(sign === "refused" && isNew, inFlight, now);
    },
    resize(next) {
      places = places === limit ? next : Math.min(places, next);
      limit = next;
    },
    restart() {
      places = 1;
      // What was answered before the interruption doubles nothing.
      second = newSecond(Number.NEGATIVE_INFINITY);
    },
    forget() {
      [rate, pace, tooMuch, ceiling, taken] = [Infinity, null, Infinity, Infinity, 0];
      againMs = AGAIN_MS.initial;
    },
  };
}

function newSecond(at: number): Second {
  return { at, started: 0, delivered: 0, answered: 0, refused: 0 };
}

/** The answers that ask for less, whatever they mean for the message. */
const TOO_BUSY: ReadonlySet<number> = new Set([429, 503]);
/** Exceptions of this process, or of its rules. */
const OWN: ReadonlySet<string> = new Set(["descriptors", "journal", "address-denied"]);

function signOf(outcome: Outcome): Sign {
  if (outcome.kind === "expression") return "none";
  if (outcome.kind === "exception") return OWN.has(outcome.code) ? "none" : "silent";
  if (TOO_BUSY.has(outcome.status)) return "refused";
  return outcome.kind === "delivered" ? "taken" : "answered";
}
