// Moves a subscription to another position: shows where it is, says what the move repeats or skips, then asks.

import type { SeekBody, SubscriptionView } from "#wire/subscription.ts";
import { call } from "./api.ts";
import { ask } from "./dialog.ts";
import { fill, h, setText } from "./dom.ts";
import { formatCount, formatSome, zoneOf } from "./format.ts";
import { notify, notifyOf } from "./notice.ts";
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
  if (form.isIdle()) return notify(`${id} stands there already: nothing was changed`);
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
  const now = h("span", {}, "…");
  let looks = 0;
  let isIdle = false;
  const effect = h("p", { class: "banner", role: "status" });
  const { stream, subjects } = subscription.source;
  const element = h(
    "div",
    { class: "seek" },
    facts([
      ["Stream", stream],
      ["Subjects", subjects.length === 0 ? "all" : subjects.join(", ")],
      ["Left to deliver", lag === null ? "not known" : formatSome(lag, "message")],
      ["Position", now],
    ]),
    h("label", { class: "field" }, "Go on from", target),
    sequenceField,
    timeField,
    effect,
  );
  target.addEventListener("change", show);
  for (const input of [sequence, time]) input.addEventListener("change", () => void preview());
  show();

  function chosen(): Target {
    return TARGETS.find(([value]) => value === target.value)?.[0] ?? "all";
  }

  function show(): void {
    sequenceField.hidden = chosen() !== "sequence";
    timeField.hidden = chosen() !== "time";
    const text = TARGETS.find(([value]) => value === chosen())?.[2] ?? "";
    fill(effect, text);
    void preview(); // Never rejects.
  }

  /** What the move would do, in numbers. */
  async function preview(): Promise<void> {
    looks += 1;
    isIdle = false;
    const own = looks;
    const body = read();
    if (body === null) return;
    const answer = await call("POST /subscriptions/:id/seek/preview", { id: subscription.id, body });
    if (own !== looks) return;
    if (answer.kind === "refused") return fill(effect, answer.text);
    const { position: at, lastSequence, effect: told, changes } = answer.body;
    isIdle = !changes;
    const next = at === null ? "" : `message ${formatCount(at)} is next, `;
    setText(now, `${next}the stream ends at ${formatCount(lastSequence)}`);
    fill(effect, `${told.slice(0, 1).toUpperCase()}${told.slice(1)}.`);
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
    /** True: the preview of what is chosen says that nothing changes. */
    isIdle: () => isIdle,
    isComplete: () =>
      (chosen() !== "sequence" || sequence.reportValidity()) &&
      (chosen() !== "time" || time.reportValidity()),
  };
}
