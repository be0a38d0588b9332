// What tenants' key stores may cost is counted before it is computed, whatever comes of it, and for everybody apart.

import { expect, test } from "bun:test";
import type { IterationBudget } from "#keystore/budget.ts";
import { type BudgetedWrite, type Costs, createStoreBudgets } from "#registry/store-budgets.ts";

const MILLION = 1_000_000;
const MINUTE_MS = 60_000;
const { signal } = new AbortController();

function lab(known: ReadonlyMap<string, Costs> = new Map()) {
  let now = 0;
  const budgets = createStoreBudgets(known, { now: () => now });
  return {
    pass: (ms: number) => (now += ms),
    open: (more: Partial<BudgetedWrite> = {}) =>
      budgets.openForWrite({ id: null, application: "shop", caller: "shop", signal, ...more }),
    read: (id: string) => budgets.createForReading(id, signal),
  };
}

function kept(application: string | null, iterations: number): Costs {
  return { subscription: { application }, iterations };
}

/** What stands in the way; empty: nothing does. */
function spend(budget: IterationBudget, iterations: number): string {
  try {
    budget.spend(iterations);
    return "";
  } catch (error) {
    return String(error);
  }
}

test("one subscription has its limit", () => {
  const budget = lab().open({ caller: null, application: null });
  expect(spend(budget, 3 * MILLION)).toBe("");
  expect(spend(budget, 1)).toContain("those of a subscription may take 3000000 in all");
});

test("what an application keeps counts, but not what is replaced", () => {
  const known = new Map([
    ["a", kept("shop", 3 * MILLION)],
    ["b", kept("shop", 3 * MILLION)],
    ["c", kept("shop", 3 * MILLION)],
    ["d", kept("other", 3 * MILLION)],
  ]);
  const { open } = lab(known);
  const refusal = "those of application shop may take 10000000 in all";
  expect(spend(open({ caller: null }), MILLION + 1)).toContain(refusal);
  expect(spend(open({ id: "a" }), 3 * MILLION)).toBe("");
});

test("what is being made counts from the moment on that it is begun", () => {
  const { open } = lab();
  const writes = Array.from({ length: 12 }, () => open({ caller: null }));
  const refusals = writes.map((budget) => spend(budget, MILLION)).filter((reason) => reason !== "");
  expect(refusals).toHaveLength(2);
  for (const write of writes) write[Symbol.dispose]();
  expect(spend(open({ caller: null }), 3 * MILLION)).toBe("");
});

test("what was refused after it was computed counts for ten minutes, for its caller only", () => {
  const { open, pass } = lab();
  const tries = Array.from({ length: 6 }, () => {
    using budget = open();
    return spend(budget, 2 * MILLION);
  });
  expect(tries.slice(0, 5)).toEqual(["", "", "", "", ""]);
  expect(tries[5]).toContain("at most 10000000 are computed for application shop in 10 minutes");
  expect(spend(open({ caller: "other", application: "other" }), 2 * MILLION)).toBe("");
  expect(spend(open({ caller: null }), 2 * MILLION)).toBe("");
  pass(2 * MINUTE_MS);
  expect(spend(open(), 2 * MILLION)).toBe("");
  expect(spend(open(), MILLION)).not.toBe("");
});

test("what is not computed again counts as kept, not as computed", () => {
  const { open } = lab();
  for (let time = 0; time < 20; time += 1) {
    using budget = open();
    expect(budget.reuse(3 * MILLION)).toBe(true);
    expect(budget.reuse(1)).toBe(false);
  }
});

test("all together have a limit, which a relay that starts holds too", () => {
  const known = new Map(
    Array.from({ length: 20 }, (_, index) => [`a${index}`, kept(`shop-${index}`, 3 * MILLION)] as const),
  );
  expect(spend(lab(known).open({ application: null, caller: null }), 1)).toContain(
    "those of all subscriptions made by API may take 60000000 in all",
  );
  for (let index = 20; index < 40; index += 1) known.set(`a${index}`, kept(null, 3 * MILLION));
  expect(spend(lab(known).read("b"), 1)).toContain("all subscriptions made by API");
  expect(spend(lab(known).read("a1"), 3 * MILLION)).toBe("");
});
