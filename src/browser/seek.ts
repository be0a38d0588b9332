// Moves a subscription to another position: shows where it is, says what the move repeats or skips, then asks.

import type { SeekBody, SubscriptionView } from "#wire/subscription.ts";
import { call } from "./api.ts";
import { ask } from "./dialog.ts";
import { fill, h } from "./dom.ts";
import { formatSome, zoneOf } from "./format.ts";
import { notifyOf } from "./notice.ts";
import { facts } from "./payload.ts";
import { lagOf } from "./subscription-state.ts";

const SEEK_WITHIN_MS = 60_000;

const TARGETS = [
  ["all", "The first message of the stream", "Every message that is still in the stream is sent again."],
  ["new", "Messages from now on", "What has not been delivered yet is skipped."],
  ["last", "The last message of the stream", "All but the last message are skipped, and that one is sent."],
  ["sequence", "A sequence", "From that message on all are sent, also those delivered before."],
  [
    "time",
    "A time",
    "From the first message stored then or later all are sent, also those delivered before.",
  ],
] as const;

type Target = (typeof TARGETS)[number][0];

export async function seek(subscription: SubscriptionView, refresh: () => Promise<void>): Promise<void> {
  const { id } = subscription;
  const form = createSeekForm(subscription);
  const isSure = await ask({
    title: `Seek ${id}`,
    text: form.element,
    action: "Move it there",
    isDangerous: true,
    isComplete: form.isComplete,
  });
  const body = form.read();
  if (!isSure || body === null) return;
  const answer = await call("POST /subscriptions/:id/seek", { id, body, withinMs: SEEK_WITHIN_MS });
  if (notifyOf(answer, `${id} goes on from there`)) await refresh();
}

function createSeekForm(subscription: SubscriptionView) {
  const lag = lagOf(subscription);
  const target = h("select", {}, ...TARGETS.map(([value, label]) => h("option", { value }, label)));
  const sequence = h("input", { type: "number", min: 1, step: 1, required: true });
  const time = h("input", { type: "datetime-local", step: 1, required: true });
  const sequenceField = h("label", { class: "field", hidden: true }, "Sequence", sequence);
  const timeField = h("label", { class: "field", hidden: true }, `Time (${zoneOf(new Date())})`, time);
  const effect = h("p", { class: "banner", role: "status" });
  const { stream, subjects } = subscription.source;
  const element = h(
    "div",
    { class: "seek" },
    facts([
      ["Stream", stream],
      ["Subjects", subjects.length === 0 ? "all" : subjects.join(", ")],
      ["Now", lag === null ? "its position is not known" : `${formatSome(lag, "message")} left to deliver`],
    ]),
    h("label", { class: "field" }, "Go on from", target),
    sequenceField,
    timeField,
    effect,
  );
  target.addEventListener("change", show);
  show();

  function chosen(): Target {
    return TARGETS.find(([value]) => value === target.value)?.[0] ?? "all";
  }

  function show(): void {
    sequenceField.hidden = chosen() !== "sequence";
    timeField.hidden = chosen() !== "time";
    const text = TARGETS.find(([value]) => value === chosen())?.[2] ?? "";
    fill(
      effect,
      chosen() === "new" && lag !== null ? `${formatSome(lag, "message")} will be skipped.` : text,
    );
  }

  /** Null: what it needs is missing. */
  function read(): SeekBody | null {
    const kind = chosen();
    if (kind === "sequence") return sequence.value === "" ? null : { sequence: Number(sequence.value) };
    if (kind === "time") return time.value === "" ? null : { time: new Date(time.value).toISOString() };
    return { to: kind };
  }

  return {
    element,
    read,
    isComplete: () =>
      (chosen() !== "sequence" || sequence.reportValidity()) &&
      (chosen() !== "time" || time.reportValidity()),
  };
}
