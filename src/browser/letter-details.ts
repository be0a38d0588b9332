// Shows one dead letter in a panel: its cause, its origin, the message, and buttons to replay or purge it.

import type { DeadLetterDetail, DeadLetterView } from "#wire/dead-letter.ts";
import { call } from "./api.ts";
import { statusBadge } from "./badge.ts";
import { openPanel } from "./dialog.ts";
import { fill, h } from "./dom.ts";
import { formatBytes, formatMoment } from "./format.ts";
import { purge, replay } from "./letter-commands.ts";
import { facts, headerTable, payload, section } from "./payload.ts";
import { writeButton } from "./permission.ts";

export function showLetter({ id, isForeign, subscription }: DeadLetterView, onChanged: () => void): void {
  const { body, close } = openPanel({ title: "Dead letter" });
  const selection = { ids: [id] };
  const done = () => {
    close();
    onChanged();
  };
  const actions = h(
    "div",
    { class: "actions" },
    isForeign
      ? null
      : writeButton(
          {
            class: "button primary",
            onClick: () => void replay(selection, { subscription, onStarted: done }),
          },
          "Replay this one",
        ),
    writeButton({ class: "button danger", onClick: () => void purge(selection, done) }, "Purge this one"),
    h("a", { class: "button", href: `${pathOf(id)}/payload`, download: "" }, "Download its body"),
  );
  fill(body, h("p", { class: "note" }, "Loading …"));
  void load(); // Never rejects.

  async function load(): Promise<void> {
    const answer = await call<DeadLetterDetail>(pathOf(id));
    if (answer.kind === "refused") fill(body, h("p", { class: "banner bad" }, answer.text));
    else fill(body, actions, ...describe(answer.body));
  }
}

function pathOf(id: string): string {
  return `/api/dead-letters/${encodeURIComponent(id)}`;
}

function describe(letter: DeadLetterDetail): readonly Node[] {
  const { date, endpoint, size, headers, payload: body } = letter;
  return [
    section("Why", facts([["Dead-lettered", formatMoment(date)], ...describeWhy(letter)])),
    section(
      "Where from",
      facts([...describeOrigin(letter), ["Lies at", endpoint], ["Size", formatBytes(size)]]),
    ),
    section("Headers", headerTable(headers)),
    section("Body", payload({ text: body.content, isCut: body.isCut })),
  ];
}

function describeWhy({ isForeign, status, reason, error, attempts, replays }: DeadLetterDetail) {
  if (isForeign) return [["Written by", "somebody else than Relay"]] as const;
  return [
    ["Status", statusBadge(status)],
    ["Reason", reason ?? "–"],
    ["Error", error ?? "–"],
    ["Attempts", String(attempts ?? "–")],
    ["Failed replays", String(replays)],
  ] as const;
}

function describeOrigin({
  subscription,
  application,
  entrypoint,
  stream,
  sequence,
  subject,
}: DeadLetterDetail) {
  return [
    ["Subscription", subscription ?? "–"],
    ["Application", application ?? "–"],
    ["Entrypoint", entrypoint ?? "–"],
    ["Message", stream === null ? "–" : `${stream}, sequence ${sequence ?? "?"}`],
    ["Subject", subject ?? "–"],
  ] as const;
}
