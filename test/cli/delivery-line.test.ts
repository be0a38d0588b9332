// A delivery in the log: on one line where it has room, and with nothing of it left out where it has none.

import { expect, test } from "bun:test";
import { formatDelivery } from "#cli/delivery-line.ts";
import type { DeliveryView } from "#wire/delivery.ts";

const DELIVERY = {
  id: "1839204513425423",
  date: "2026-12-01T04:09:17.515Z",
  status: 422,
  subscription: "billing",
  callbackUrl: "http://127.0.0.1:9333/hooks/billing/with/a/long/path",
  attempts: [{}],
  durationMs: 3.6,
  deadLetterId: null,
  error: "Callback answered 422: out of stock",
} as unknown as DeliveryView;

const linesAt = (width: number | null, changes: Partial<DeliveryView> = {}) =>
  formatDelivery({ ...DELIVERY, ...changes }, { width, isColoured: false })
    .trimEnd()
    .split("\n");

test("formatDelivery() is one line in a pipe, and where the URL can be cut", () => {
  expect(linesAt(null)).toEqual([
    "2026-12-01T04:09:17.515Z  1839204513425423  422  billing       http://127.0.0.1:9333/hooks/billing/with/a/long/path  4 ms  1 attempt  Callback answered 422: out of stock",
  ]);
  expect(linesAt(140)).toEqual([
    "2026-12-01T04:09:17.515Z  1839204513425423  422  billing       http://127.0.0.1:9333/…  4 ms  1 attempt  Callback answered 422: out of stock",
  ]);
});

test("formatDelivery() leaves nothing out on a narrow terminal", () => {
  expect(linesAt(80)).toEqual([
    "2026-12-01T04:09:17.515Z  1839204513425423  422  billing",
    "    4 ms  1 attempt  Callback answered 422: out of stock",
    "    http://127.0.0.1:9333/hooks/billing/with/a/long/path",
  ]);
  expect(linesAt(60, { subscription: "billing-with-a-rather-long-identifier-of-its-own-1" })).toEqual([
    "2026-12-01T04:09:17.515Z  1839204513425423  422",
    "    billing-with-a-rather-long-identifier-of-its-own-1  4 ms",
    "    1 attempt  Callback answered 422: out of stock",
    "    http://127.0.0.1:9333/hooks/billing/with/a/long/path",
  ]);
});
