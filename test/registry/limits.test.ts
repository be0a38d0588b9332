// createAdmissions(): how many subscriptions the API makes.

import { expect, test } from "bun:test";
import { createAdmissions, type Made } from "#registry/limits.ts";

type Owned = { readonly id: string; readonly application: string | null };

const findExcess = (wanted: Owned, made: Made) => createAdmissions(made)(wanted).excess;
const owned = (id: string, application: string | null = null) => ({ id, application });

function made(count: number, application: string | null = null): Made {
  const all = Array.from({ length: count }, (_, index) => owned(`s${index}`, application));
  return {
    known: new Map(all.map((subscription) => [subscription.id, { subscription }])),
    unusable: new Map(),
  };
}

test("createAdmissions() takes the thousandth of an application, and refuses the next", () => {
  expect(findExcess(owned("more", "shop"), made(999, "shop"))).toBeNull();
  expect(findExcess(owned("more", "shop"), made(1000, "shop"))).toBe(
    "application shop has 1000 subscriptions made by API, the maximum",
  );
});

test("createAdmissions() counts an application for itself, and leaves those of none to the limit of all", () => {
  expect(findExcess(owned("more", "desk"), made(1000, "shop"))).toBeNull();
  expect(findExcess(owned("more"), made(1000))).toBeNull();
});

test("createAdmissions() lets one of a full application be replaced, and none come from another one", () => {
  expect(findExcess(owned("s7", "shop"), made(1000, "shop"))).toBeNull();
  const full = made(1000, "shop");
  const known = new Map([...full.known, ["other", { subscription: owned("other", "desk") }] as const]);
  expect(findExcess(owned("other", "shop"), { ...full, known })).toStartWith("application shop has 1000 ");
});

test("createAdmissions() refuses the ten thousand and first, those that cannot run here included", () => {
  const unusable = new Map([["bad", "It is encrypted"]]);
  expect(findExcess(owned("more"), { ...made(9998), unusable })).toBeNull();
  const full = { ...made(9999), unusable };
  expect(findExcess(owned("more"), full)).toBe("there are 10000 subscriptions made by API, the maximum");
  expect(findExcess(owned("s7"), full)).toBeNull();
  expect(findExcess(owned("bad"), full)).toBeNull();
});

test("createAdmissions() counts what is being written, once, until it is made or was not", () => {
  const known = new Map(made(998, "shop").known);
  const admit = createAdmissions({ known, unusable: new Map() });
  const first = admit(owned("a", "shop"));
  const again = admit(owned("a", "shop"));
  const second = admit(owned("b", "shop"));
  expect([first, again, second].map(({ excess }) => excess)).toEqual([null, null, null]);
  expect(admit(owned("c", "shop")).excess).toStartWith("application shop has 1000 ");
  expect(admit(owned("c", "desk")).excess).toBeNull();
  known.set("a", { subscription: owned("a", "shop") });
  expect(admit(owned("c", "shop")).excess).toStartWith("application shop has 1000 ");
  first[Symbol.dispose]();
  again[Symbol.dispose]();
  expect(admit(owned("c", "shop")).excess).toStartWith("application shop has 1000 ");
  second[Symbol.dispose]();
  expect(admit(owned("c", "shop")).excess).toBeNull();
});
