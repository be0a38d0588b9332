// The header of the page: how the relay is, which host it is, and whether it answers at all.

import { call } from "./api.ts";
import { isConsumersPage } from "./address.ts";
import { badge } from "./badge.ts";
import { byId, fill, h } from "./dom.ts";
import { formatMoment, formatSome } from "./format.ts";

/** Since when nothing is answered; null: it answers. */
let silentSince: string | null = null;

export async function showStatus(): Promise<void> {
  // Consumers may not read the status: this only tells whether Relay answers.
  if (isConsumersPage) return void (await call("GET /session"));
  const answer = await call("GET /status");
  if (answer.kind === "refused") return;
  const link = document.querySelector<HTMLElement>("#hosts");
  if (link !== null) link.hidden = answer.body.fleet === null;
  const { host, version, config, nats, deliveryLog, readiness, subscriptions } = answer.body;
  const { failed = 0 } = subscriptions;
  const total = Object.values(subscriptions).reduce((sum, count) => sum + count, 0);
  const isCalm = readiness.isReady && failed === 0;
  const word = readiness.isReady ? "ready" : nats.connected ? "not ready" : "NATS is not connected";
  const label = failed === 0 ? word : `${word}, ${failed} of ${formatSome(total, "subscription")} in failure`;
  fill(byId("status"), badge(label, isCalm ? "good" : "bad"), h("small", {}, `${host} · v${version}`));
  showFaults([
    ...readiness.reasons,
    ...(config.refused === null ? [] : [`The config file was refused: ${config.refused}`]),
    ...(deliveryLog.fault === null ? [] : [`Deliveries are not recorded: ${deliveryLog.fault}`]),
  ]);
}

function showFaults(faults: readonly string[]): void {
  const shown = document.querySelector("#faults");
  if (shown?.textContent === faults.join("")) return;
  shown?.remove();
  if (faults.length === 0) return;
  const list = h("ul", {}, ...faults.map((fault) => h("li", {}, fault)));
  byId("view").before(h("div", { id: "faults", class: "banner bad", role: "alert" }, list));
}

/** What is shown while nothing is answered is from before: it turns grey, and a banner says since when. */
export function showReached(isReached: boolean): void {
  if (isReached === (silentSince === null)) return;
  silentSince = isReached ? null : new Date().toISOString();
  document.documentElement.classList.toggle("stale", !isReached);
  document.querySelector("#silence")?.remove();
  if (silentSince === null) return;
  fill(byId("status"), badge("no answer", "bad"));
  const text = `Relay does not answer since ${formatMoment(silentSince)}. What is shown is from before.`;
  byId("view").before(h("p", { id: "silence", class: "banner bad", role: "alert" }, text));
}
