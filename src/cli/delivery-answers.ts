// What a relay answered about deliveries, held against what is shown of it.

import type { DeliveryDetail, DeliveryView } from "#wire/delivery.ts";
import { expectLike, type Page, type Sample } from "./answers.ts";

const DELIVERY: Sample = {
  id: "",
  date: "",
  entrypoint: "",
  subscription: "",
  method: "",
  callbackUrl: "",
  status: 0,
  durationMs: 0,
  attempts: [{ date: "", status: 0, durationMs: 0 }],
  deadLettered: true,
};

const SIDE: Sample = { encoding: "", truncated: true };

/** Each throws a RelayError where the answer is another one. */
export function toDelivery(value: unknown): DeliveryView {
  expectLike(value, DELIVERY);
  return value as DeliveryView;
}

export function toDeliveryPage(value: unknown): Page<DeliveryView> {
  expectLike(value, { items: [DELIVERY], next: null });
  return value as Page<DeliveryView>;
}

export function toDeliveryDetail(value: unknown): DeliveryDetail {
  const delivery = toDelivery(value) as DeliveryDetail;
  for (const side of [delivery.request, delivery.response]) {
    if (side !== null) expectLike(side, SIDE);
    if (side !== null && side.headers !== null) expectLike(side.headers, [[""]]);
    if (side !== null && side.body !== null) expectLike(side.body, "");
  }
  return delivery;
}
