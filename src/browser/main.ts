// Starts the page: signs in if the relay asks for it, then fills the view of the address.

import type { SessionView } from "#wire/session.ts";
import { pathTo, shownHost } from "./address.ts";
import { call, watchCalls } from "./api.ts";
import { showDeadLetters } from "./dead-letters.ts";
import { showDeliveries } from "./deliveries.ts";
import { showDeliveryPage } from "./delivery-details.ts";
import { byId, fill, h, link } from "./dom.ts";
import { showReached, showStatus } from "./header.ts";
import { showHosts } from "./hosts.ts";
import { showLetterPage } from "./letter-details.ts";
import { showLogging } from "./logging.ts";
import { showOverview } from "./overview.ts";
import { describePermission, learnPermission } from "./permission.ts";
import { notify } from "./notice.ts";
import { poll } from "./repeat.ts";
import { showReplayPage, showReplays } from "./replays.ts";
import { signIn, signInAgain, signOut } from "./sign-in.ts";
import { showEditing, showNewSubscription } from "./subscription-form.ts";
import { showSubscriptionPage } from "./subscription-page.ts";

const VIEWS: Readonly<Record<string, (view: HTMLElement) => void>> = {
  overview: showOverview,
  deliveries: showDeliveries,
  delivery: showDeliveryPage,
  "dead-letters": showDeadLetters,
  "dead-letter": showLetterPage,
  replays: showReplays,
  replay: showReplayPage,
  subscription: showSubscriptionPage,
  "new-subscription": showNewSubscription,
  "edit-subscription": showEditing,
  logging: showLogging,
  hosts: showHosts,
};
const STATUS_EVERY_MS = 5000;
const AGAIN_MS = 2000;

async function start(): Promise<void> {
  const view = byId("view");
  const show = VIEWS[document.documentElement.dataset["view"] ?? ""];
  if (show === undefined) {
    view.removeAttribute("aria-busy");
    return fill(view, h("p", {}, link(pathTo.overview(), "Go to the overview")));
  }
  const session = await call("GET /session");
  if (session.kind === "refused") {
    fill(view, h("p", { class: "note bad" }, `${session.text}; trying again …`));
    setTimeout(() => location.reload(), AGAIN_MS);
    return;
  }
  const { auth, signedIn } = session.body;
  if (auth !== "none" && !signedIn) {
    await signIn(auth);
    location.reload();
    return;
  }
  learnPermission(session.body);
  const signedOut = createSignedOut(auth);
  watchCalls({ signedOut: () => void signedOut(), reached: showReached });
  byId("views").hidden = false;
  if (auth !== "none") {
    byId("status").after(h("button", { class: "button quiet", onClick: () => void signOut() }, "Sign out"));
  }
  poll(showStatus, () => STATUS_EVERY_MS);
  const limits = describePermission();
  if (limits !== null) view.before(h("p", { class: "banner", role: "note" }, limits));
  if (shownHost !== "") {
    const text = `You see ${shownHost}, through the relay of this address. `;
    view.before(h("p", { class: "banner calm", role: "note" }, text, link(pathTo.hosts(), "All hosts")));
  }
  show(view);
}

/** The session is over. Where somebody is filling in a form, what is typed stays; nothing else does. */
function createSignedOut(auth: SessionView["auth"]): () => Promise<void> {
  let isAsking = false;
  return async () => {
    if (auth === "none" || document.querySelector("form.form") === null) return location.reload();
    if (isAsking) return;
    isAsking = true;
    await signInAgain(auth);
    isAsking = false;
    notify("You are signed in again: go on");
  };
}

void start(); // Never rejects.
