// Sends messages of the stream to a callback once more: one delivery's, or those of a range, which are counted first.

import type { ResendBody } from "#wire/replay.ts";
import { pathTo } from "./address.ts";
import { call } from "./api.ts";
import { ask } from "./dialog.ts";
import { h } from "./dom.ts";
import { formatSome, zoneOf } from "./format.ts";
import { notify } from "./notice.ts";

/** A count takes as long as the stream is; beyond this it is asked without one. */
const COUNT_LOOKS = 40;
const LOOK_EVERY_MS = 250;

interface Sent {
  readonly subscription: string;
  readonly webhookId: string;
  /** For people: which one. */
  readonly name: string;
}

export async function resendOne({ subscription, webhookId, name }: Sent): Promise<void> {
  const isSure = await ask({
    title: "Send again",
    text: `1 message is sent once more to the callback of ${subscription}: ${name}. The position of the subscription stays.`,
    action: "Send again",
  });
  if (isSure) await start(subscription, { webhookId });
}

export async function resendRange(subscription: string): Promise<void> {
  const form = createRangeForm();
  const isChosen = await ask({
    title: `Send messages of ${subscription} again`,
    text: form.element,
    action: "Count them",
    isComplete: () => form.read() !== null,
  });
  const body = form.read();
  if (!isChosen || body === null) return;
  const count = await countOf(subscription, body);
  if (count === "refused") return;
  if (count === 0) return notify("The stream has no such message for this subscription");
  const many =
    count === null
      ? "All of them, which are not counted yet, are"
      : `${formatSome(count, "message")} will be`;
  const isSure = await ask({
    title: `Send messages of ${subscription} again`,
    text: `${many} sent once more, beside new ones. The position of the subscription stays.`,
    action: "Send again",
  });
  if (isSure) await start(subscription, body);
}

async function start(id: string, body: ResendBody): Promise<void> {
  const answer = await call("POST /subscriptions/:id/resend", { id, body });
  if (answer.kind === "refused") return notify(answer.text, "bad");
  location.assign(pathTo.replay(answer.body.id));
}

/** Null: it takes too long to wait for. */
async function countOf(id: string, body: ResendBody): Promise<number | null | "refused"> {
  const asked = await call("POST /subscriptions/:id/resend", { id, body: { ...body, dryRun: true } });
  if (asked.kind === "refused") {
    notify(asked.text, "bad");
    return "refused";
  }
  for (let looks = 0; looks < COUNT_LOOKS; looks += 1) {
    const answer = await call("GET /replays/:id", { id: asked.body.id });
    if (answer.kind === "ok" && answer.body.endedAt !== null) return answer.body.matching;
    await new Promise((resolve) => void setTimeout(resolve, LOOK_EVERY_MS));
  }
  return null;
}

function createRangeForm() {
  const kind = h(
    "select",
    {},
    h("option", { value: "sequences" }, "Sequences"),
    h("option", { value: "times" }, "Times"),
  );
  const number = (isRequired: boolean) =>
    h("input", { type: "number", min: 1, step: 1, required: isRequired });
  const moment = (isRequired: boolean) =>
    h("input", { type: "datetime-local", step: 1, required: isRequired });
  const inputs = {
    sequences: { from: number(true), to: number(false) },
    times: { from: moment(true), to: moment(false) },
  };
  const zone = zoneOf(new Date());
  const groups = (["sequences", "times"] as const).map((name) => {
    const unit = name === "times" ? ` (${zone})` : "";
    const fields = h(
      "div",
      { class: "fields", hidden: name === "times" },
      h("label", { class: "field" }, `From${unit}`, inputs[name].from),
      h("label", { class: "field" }, `To${unit}, empty: until now`, inputs[name].to),
    );
    return { name, fields };
  });
  kind.addEventListener("change", () => {
    for (const { name, fields } of groups) fields.hidden = name !== kind.value;
  });

  return {
    element: h(
      "div",
      { class: "seek" },
      h("label", { class: "field" }, "Which messages, by", kind),
      ...groups.map(({ fields }) => fields),
    ),
    /** Null: what it needs is missing, which is shown. */
    read(): ResendBody | null {
      const isTimes = kind.value === "times";
      const { from, to } = isTimes ? inputs.times : inputs.sequences;
      if (!from.reportValidity() || !to.reportValidity()) return null;
      if (isTimes) {
        const times = { from: new Date(from.value).toISOString() };
        return { times: to.value === "" ? times : { ...times, to: new Date(to.value).toISOString() } };
      }
      const sequences = { from: Number(from.value) };
      return { sequences: to.value === "" ? sequences : { ...sequences, to: Number(to.value) } };
    },
  };
}
