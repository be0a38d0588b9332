// The buttons of a subscription: pause, resume, stop, start, and test of its callback.

import type { ExchangeView, ResumeBody, SubscriptionView } from "#wire/subscription.ts";
import { call } from "./api.ts";
import { statusBadge } from "./badge.ts";
import { ask, openPanel } from "./dialog.ts";
import { fill, h } from "./dom.ts";
import { formatDuration } from "./format.ts";
import { notifyOf } from "./notice.ts";
import { facts, headerTable, payload, section } from "./payload.ts";
import { writeButton } from "./permission.ts";

interface SubscriptionActions {
  readonly element: HTMLElement;
  readonly update: (subscription: SubscriptionView) => void;
}

const TEST_WITHIN_MS = 660_000;

interface Action {
  readonly label: string;
  readonly command: "pause" | "resume" | "stop" | "start";
  readonly done: string;
  readonly body?: ResumeBody;
  readonly isWanted: (subscription: SubscriptionView) => boolean;
}

const isOpen = ({ status }: SubscriptionView) => status !== "CLOSED";

const ACTIONS: readonly Action[] = [
  {
    label: "Resume",
    command: "resume",
    done: "resumed",
    isWanted: ({ status, consumerStatus }) => status === "PAUSED" || consumerStatus === "FAILURE",
  },
  {
    label: "Skip and resume",
    command: "resume",
    done: "resumed, without the message that stopped it",
    body: { skip: true },
    isWanted: ({ consumerStatus }) => consumerStatus === "FAILURE",
  },
  { label: "Pause", command: "pause", done: "paused", isWanted: ({ status }) => status === "ACCEPTED" },
  {
    label: "Start",
    command: "start",
    done: "started",
    isWanted: ({ consumerStatus }) => consumerStatus === "STOPPED",
  },
  {
    label: "Stop",
    command: "stop",
    done: "stopped",
    isWanted: ({ consumerStatus }) => consumerStatus !== "STOPPED",
  },
];

/** Where the focus goes when a button has done its work and is not there any more. */
const COUNTERPARTS = { pause: "resume", resume: "pause", stop: "start", start: "stop" } as const;

/** `refresh`: asks Relay how it is now. */
export function createSubscriptionActions(id: string, refresh: () => Promise<void>): SubscriptionActions {
  const path = `/api/subscriptions/${encodeURIComponent(id)}`;

  async function run({ label, command, done, body }: Action): Promise<void> {
    const isSure =
      body === undefined ||
      (await ask({
        title: `${label}: ${id}`,
        text: "The message that caused the failure is acknowledged, and not sent again.",
        action: label,
        isDangerous: true,
      }));
    if (!isSure) return;
    const answer = await call<SubscriptionView>(`${path}/${command}`, {
      method: "POST",
      ...(body === undefined ? {} : { body }),
    });
    const notStored = answer.kind === "ok" ? answer.body.notStored : null;
    const yet = notStored === null ? "" : `, on this relay only until it is stored: ${notStored}`;
    if (notifyOf(answer, `${id} ${done}${yet}`)) await refresh();
  }

  async function test(): Promise<void> {
    const panel = openPanel({ title: `Test of ${id}` });
    fill(panel.body, h("p", { class: "note" }, "A test message is on its way to the callback …"));
    const answer = await call<ExchangeView>(`${path}/test`, { method: "POST", withinMs: TEST_WITHIN_MS });
    if (answer.kind === "refused") fill(panel.body, h("p", { class: "banner bad" }, answer.text));
    else fill(panel.body, ...describeExchange(answer.body));
  }

  const buttons = ACTIONS.map((action) => ({
    action,
    button: writeButton(
      {
        class: action.label === "Resume" ? "button primary" : "button",
        "aria-label": `${action.label} ${id}`,
        onClick: () => void run(action),
      },
      action.label,
    ),
  }));
  const testButton = writeButton(
    { class: "button", "aria-label": `Test ${id}`, onClick: () => void test() },
    "Test",
  );
  return {
    element: h("div", { class: "actions" }, ...buttons.map(({ button }) => button), testButton),
    update(subscription) {
      const pressed = buttons.find(({ button }) => button === document.activeElement);
      for (const { action, button } of buttons) {
        button.hidden = !isOpen(subscription) || !action.isWanted(subscription);
      }
      if (pressed === undefined || !pressed.button.hidden) return;
      const wanted = COUNTERPARTS[pressed.action.command];
      buttons.find(({ action, button }) => action.command === wanted && !button.hidden)?.button.focus();
    },
  };
}

function describeExchange({ status, error, durationMs, request, response }: ExchangeView): readonly Node[] {
  return [
    facts([
      ["Status", statusBadge(status)],
      ["Duration", formatDuration(durationMs)],
      ["Request", `${request.method} ${request.url}`],
      ...(error === null ? [] : ([["Error", error]] as const)),
    ]),
    section("Request headers", headerTable(request.headers)),
    ...(response === null
      ? []
      : [
          section("Response headers", headerTable(response.headers)),
          section("Response body", payload({ text: response.body, isCut: response.truncated })),
        ]),
  ];
}
