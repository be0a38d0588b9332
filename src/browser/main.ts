// Starts the page: signs in if the relay asks for it, then fills the view of the address.

import type { SessionView } from "#wire/session.ts";
import type { Status } from "#wire/status.ts";
import { call, watchCalls } from "./api.ts";
import { badge } from "./badge.ts";
import { showDeadLetters } from "./dead-letters.ts";
import { showDeliveries } from "./deliveries.ts";
import { byId, fill, h } from "./dom.ts";
import { showLogging } from "./logging.ts";
import { showOverview } from "./overview.ts";
import { describePermission, learnPermission } from "./permission.ts";
import { poll } from "./repeat.ts";
import { signIn, signOut } from "./sign-in.ts";

const VIEWS: Readonly<Record<string, (view: HTMLElement) => void>> = {
  overview: showOverview,
  deliveries: showDeliveries,
  "dead-letters": showDeadLetters,
  logging: showLogging,
};
const STATUS_EVERY_MS = 5000;
const AGAIN_MS = 2000;

async function start(): Promise<void> {
  const session = await call<SessionView>("/api/session");
  if (session.kind === "refused") {
    fill(byId("view"), h("p", { class: "note bad" }, `${session.text}; trying again …`));
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
  watchCalls({ signedOut: () => location.reload(), reached: showReached });
  byId("views").hidden = false;
  if (auth !== "none") {
    byId("status").after(h("button", { class: "button quiet", onClick: () => void signOut() }, "Sign out"));
  }
  poll(showStatus, () => STATUS_EVERY_MS);
  const view = byId("view");
  const limits = describePermission();
  if (limits !== null) view.before(h("p", { class: "banner", role: "note" }, limits));
  VIEWS[document.documentElement.dataset["view"] ?? ""]?.(view);
}

async function showStatus(): Promise<void> {
  const answer = await call<Status>("/api/status");
  if (answer.kind === "refused") return;
  const { version, config, nats, deliveryLog, readiness } = answer.body;
  const faults = [
    ...readiness.reasons,
    ...(config.refused === null ? [] : [`The config file was refused: ${config.refused}`]),
    ...(deliveryLog.fault === null ? [] : [`Deliveries are not recorded: ${deliveryLog.fault}`]),
  ];
  const label = readiness.isReady ? "Ready" : nats.connected ? "Not ready" : "NATS is not connected";
  fill(byId("status"), badge(label, readiness.isReady ? "good" : "bad"), h("small", {}, `v${version}`));
  showFaults(faults);
}

function showFaults(faults: readonly string[]): void {
  const shown = document.querySelector("#faults");
  if (shown?.textContent === faults.join("")) return;
  shown?.remove();
  if (faults.length === 0) return;
  const list = h("ul", {}, ...faults.map((fault) => h("li", {}, fault)));
  byId("view").before(h("div", { id: "faults", class: "banner bad", role: "alert" }, list));
}

function showReached(isReached: boolean): void {
  if (!isReached) fill(byId("status"), badge("No answer", "bad"));
}

void start(); // Never rejects.
