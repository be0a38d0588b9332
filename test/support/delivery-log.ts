// The delivery log of a running relay, as its API shows it, and messages that have come to their ends.

import { jetstream } from "@nats-io/jetstream";
import { type Api, openApi } from "./api.ts";
import { type ConfigOptions, testConfig } from "./config.ts";
import { eventually } from "./eventually.ts";
import { type NatsServer, startNatsServer } from "./nats-server.ts";
import { addStream } from "./nats.ts";
import { type RelayOptions, type RelayProcess, startRelay, temporaryDirectory } from "./relay.ts";
import { type Answer, type ScriptedReceiver, startScriptedReceiver } from "./scripted-receiver.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- tests say themselves what they expect.
export type Delivery = any;

export interface LogSetup extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly receiver: ScriptedReceiver;
  readonly directory: string;
  /** With its config changed. */
  start: (
    options?: Partial<ConfigOptions>,
    process?: Pick<RelayOptions, "env" | "wrapper">,
  ) => Promise<RelayProcess>;
  /** A message that is answered so. */
  publish: (name: string, answers?: readonly Answer[]) => Promise<void>;
}

export const LOG_ALL = { sampling: { type: "ALL" } };

export async function setUpLog(): Promise<LogSetup> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startScriptedReceiver());
  const { path: directory } = stack.use(await temporaryDirectory());
  const client = await nats.connect();
  await addStream(client);
  const js = jetstream(client);
  const owned = stack.move();
  return {
    nats,
    receiver,
    directory,
    start: (options = {}, process = {}) =>
      startRelay({
        config: testConfig({
          natsUrl: nats.url,
          callbackUrl: `${receiver.url}/sub`,
          entrypoint: LOG_ALL,
          ...options,
        }),
        directory,
        ...process,
      }),
    async publish(name, answers = [200]) {
      await js.publish("orders.a", JSON.stringify({ name, answers }));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export async function apiOf(relay: RelayProcess): Promise<Api> {
  return openApi(await relay.url());
}

/** Waits until so many records are there; the newest first. */
export async function deliveries(api: Api, count: number, query = ""): Promise<readonly Delivery[]> {
  return eventually(
    async () => {
      const { body } = await api("GET", `/api/deliveries?limit=1000${query}`);
      return body.items.length >= count && body.items;
    },
    { what: `${count} records` },
  );
}
