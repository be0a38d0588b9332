// The buttons of a subscription: pause, resume, stop, start, test; in its own view also seek, replay, edit and delete.

import type { ResumeBody, SubscriptionView } from "#wire/subscription.ts";
import { pathTo } from "./address.ts";
import { call } from "./api.ts";
import { ask } from "./dialog.ts";
import { h } from "./dom.ts";
import { formatSome } from "./format.ts";
import { replay } from "./letter-commands.ts";
import { notifyOf } from "./notice.ts";
import { mayOperate, writeButton, writeLink } from "./permission.ts";
import { resendRange } from "./resend.ts";
import { seek } from "./seek.ts";
import { lagOf } from "./subscription-state.ts";
import { openTest } from "./subscription-test.ts";

interface SubscriptionActions {
  readonly element: HTMLElement;
  readonly update: (subscription: SubscriptionView) => void;
}

interface ActionsOptions {
  /** Asks Relay how it is now. */
  readonly refresh: () => Promise<void>;
  /** True: all that can be done to it; false: what is done often. */
  readonly isWhole: boolean;
}

interface Action {
  readonly label: string;
  readonly command: "pause" | "resume" | "stop" | "start";
  readonly done: string;
  readonly body?: ResumeBody;
  readonly isOperators?: boolean;
  readonly isWanted: (subscription: SubscriptionView) => boolean;
}

const isOpen = ({ status }: SubscriptionView) => status !== "CLOSED";

const ACTIONS: readonly Action[] = [
  {
    label: "Resume",
    command: "resume",
    done: "resumed",
    isOperators: true,
    isWanted: ({ status, consumerStatus }) => status === "PAUSED" || consumerStatus === "FAILURE",
  },
  {
    label: "Skip and resume",
    command: "resume",
    done: "resumed, without the message that stopped it",
    body: { skip: true },
    isOperators: true,
    isWanted: ({ consumerStatus }) => consumerStatus === "FAILURE",
  },
  {
    label: "Pause",
    command: "pause",
    done: "paused",
    isOperators: true,
    isWanted: ({ status }) => status === "ACCEPTED",
  },
  {
    label: "Start",
    command: "start",
    done: "started",
    isWanted: ({ consumerStatus }) =>
      consumerStatus === "STOPPED" || (consumerStatus === "FAILURE" && !mayOperate()),
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

export function createSubscriptionActions(
  id: string,
  { refresh, isWhole }: ActionsOptions,
): SubscriptionActions {
  let present: SubscriptionView | null = null;

  async function run(action: Action): Promise<void> {
    if (action.body !== undefined && !(await askToSkip(id, action.label))) return;
    const { command, done, body } = action;
    const answer =
      command === "resume"
        ? await call("POST /subscriptions/:id/resume", { id, ...(body === undefined ? {} : { body }) })
        : await call(`POST /subscriptions/:id/${command}`, { id });
    const notStored = answer.kind === "ok" ? answer.body.notStored : null;
    const yet = notStored === null ? "" : `, on this relay only until it is stored: ${notStored}`;
    if (notifyOf(answer, `${id} ${done}${yet}`)) await refresh();
  }

  const buttons = ACTIONS.filter(({ isOperators = false }) => !isOperators || mayOperate()).map((action) => ({
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
  const more = (label: string, onClick: () => void, style = "button") =>
    writeButton({ class: style, "aria-label": `${label} ${id}`, onClick }, label);
  const testButton = more("Test", () => void openTest(id));
  const edit = writeLink(pathTo.editing(id), "Edit");
  edit.className = "button";
  const remove = more("Delete", () => void (present !== null && removeIt(present)), "button danger");
  const whole = [
    more("Seek", () => void (present !== null && seek(present, refresh))),
    more("Send again", () => void resendRange(id)),
    more("Replay dead letters", () => void replayAll(id)),
    edit,
    remove,
  ];
  const shown = [...buttons.map(({ button }) => button), testButton, ...(isWhole ? whole : [])];
  return {
    element: h("div", { class: "actions" }, ...shown),
    update(subscription) {
      present = subscription;
      const pressed = buttons.find(({ button }) => button === document.activeElement);
      for (const { action, button } of buttons)
        button.hidden = !isOpen(subscription) || !action.isWanted(subscription);
      edit.hidden = remove.hidden = subscription.origin === "file";
      if (pressed === undefined || !pressed.button.hidden) return;
      const wanted = COUNTERPARTS[pressed.action.command];
      buttons.find(({ action, button }) => action.command === wanted && !button.hidden)?.button.focus();
    },
  };
}

function askToSkip(id: string, action: string): Promise<boolean> {
  return ask({
    title: `${action}: ${id}`,
    text: "1 message is skipped: the one that caused the failure is acknowledged, and not sent again.",
    action,
    isDangerous: true,
  });
}

function replayAll(id: string): Promise<void> {
  const onStarted = (replayId: string) => location.assign(pathTo.replay(replayId));
  return replay({ filter: { subscription: id } }, { subscription: id, onStarted });
}

async function removeIt(subscription: SubscriptionView): Promise<void> {
  const { id, revision } = subscription;
  const lag = lagOf(subscription);
  const lost =
    lag === null ? "Messages that it has not delivered" : `${formatSome(lag, "message")} not delivered yet`;
  const isSure = await ask({
    title: `Delete ${id}`,
    text: `Its position in the stream is deleted with it: ${lost} will not be sent to its callback. Its dead letters stay.`,
    action: "Delete",
    isDangerous: true,
  });
  if (!isSure) return;
  const answer = await call("DELETE /subscriptions/:id", { id, ifRevision: revision });
  if (notifyOf(answer, `${id} is deleted`)) location.assign(pathTo.overview());
}
