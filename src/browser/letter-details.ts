// Shows one dead letter, in a panel or as a page: its cause, its origin, the message, and buttons to replay or purge it.

import type { DeadLetterDetail } from "#wire/dead-letter.ts";
import { idInAddress, isConsumersPage, pathTo, toApi } from "./address.ts";
import { call } from "./api.ts";
import { statusBadge } from "./badge.ts";
import { openPanel } from "./dialog.ts";
import { fill, h, link } from "./dom.ts";
import { formatBytes, formatMoment } from "./format.ts";
import { purge, replay } from "./letter-commands.ts";
import { facts, headerTable, payload, section } from "./payload.ts";
import { writeButton } from "./permission.ts";

/** After its replay has begun the replay is shown, and after its purge the list. */
export function showLetterPage(view: HTMLElement): void {
  void load(view, idInAddress(), {
    onReplay: (replayId) => location.assign(pathTo.replay(replayId)),
    onPurged: () => location.assign(pathTo.deadLetters()),
  });
}

/** While it is open, its address is that of its page. */
export function openLetter({ id }: { readonly id: string }, onChanged: () => void): void {
  const { body, close } = openPanel({ title: "Dead letter", href: pathTo.deadLetter(id) });
  const done = () => {
    close();
    onChanged();
  };
  void load(body, id, { onReplay: done, onPurged: done }); // Never rejects.
}

interface Reactions {
  readonly onReplay: (replayId: string) => void;
  readonly onPurged: () => void;
}

async function load(into: HTMLElement, id: string, reactions: Reactions): Promise<void> {
  fill(into, h("p", { class: "note" }, "Loading …"));
  const answer = await call("GET /dead-letters/:id", { id });
  into.removeAttribute("aria-busy");
  if (answer.kind === "refused")
    return fill(into, h("p", { class: "banner bad", role: "alert" }, answer.text));
  fill(into, toActions(answer.body, reactions), ...describe(answer.body));
}

function toActions({ id, isForeign, subscription }: DeadLetterDetail, reactions: Reactions): HTMLElement {
  const selection = { ids: [id] };
  const again = () => void replay(selection, { subscription, onStarted: reactions.onReplay });
  const remove = () => void purge(selection, reactions.onPurged);
  const file = toApi(`/dead-letters/${encodeURIComponent(id)}/payload`);
  return h(
    "div",
    { class: "actions" },
    isForeign ? null : writeButton({ class: "button primary", onClick: again }, "Send again"),
    isConsumersPage ? null : writeButton({ class: "button danger", onClick: remove }, "Purge this one"),
    h("a", { class: "button", href: file, download: "" }, "Download its body"),
  );
}

function describe(letter: DeadLetterDetail): readonly Node[] {
  const { date, endpoint, size, headers, payload: body } = letter;
  return [
    section("Why", facts([["Dead-lettered", formatMoment(date)], ...describeWhy(letter)])),
    section(
      "Where from",
      facts([...describeOrigin(letter), ["Stored at", endpoint], ["Size", formatBytes(size)]]),
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

function describeOrigin(letter: DeadLetterDetail) {
  const { subscription, application, entrypoint, stream, sequence, subject } = letter;
  return [
    ["Subscription", subscription === null ? "–" : link(pathTo.subscription(subscription), subscription)],
    ["Application", application ?? "–"],
    ["Entrypoint", entrypoint ?? "–"],
    ["Message", stream === null ? "–" : `${stream}, sequence ${sequence ?? "?"}`],
    ["Subject", subject ?? "–"],
  ] as const;
}
