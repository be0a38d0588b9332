// What the page's tests look at: a relay with three subscriptions, one of which answers well, one rejects, one breaks.

import { jetstream } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { RETRY_ON_FAIL } from "../support/config.ts";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { type Receiver, type Respond, startReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";

export interface PageLab extends AsyncDisposable {
  readonly url: string;
  readonly relay: RelayProcess;
  readonly receiver: Receiver;
  readonly browser: TestBrowser;
  /** Publishes under `orders.<name>`, which the subscription of that name gets. */
  readonly publish: (
    name: Name,
    body: string | Uint8Array,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<void>;
  /** Messages for these, some a second, until the lab is disposed. */
  readonly flow: (names: readonly Name[]) => void;
}

/** Of a subscription. */
type Name = string;

export interface PageLabOptions {
  /** At top level of the config. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly qos?: "AUTO" | "AT_MOST_ONCE" | "AT_LEAST_ONCE";
  /** `configuration` of the entrypoint; else all is logged. */
  readonly entrypoint?: Readonly<Record<string, unknown>>;
  readonly respond?: Respond;
  /** Of the subscriptions. */
  readonly names?: readonly Name[];
}

const NAMES: readonly Name[] = ["billing", "shipping", "broken"];
const FLOW_EVERY_MS = 25;
const BOTH = { headers: true, payload: true };
const LOG_ALL = {
  logging: { enabled: true, request: BOTH, response: BOTH },
  sampling: { type: "ALL" },
};

export async function openPageLab(options: PageLabOptions = {}): Promise<PageLab> {
  const { more = {}, qos = "AUTO", entrypoint = LOG_ALL, respond = answer, names = NAMES } = options;
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  await addStream(client);
  const receiver = stack.use(await startReceiver(respond));
  const config = labConfig({ natsUrl: nats.url, receiver, qos, entrypoint, names });
  const relay = stack.use(await startRelay({ config: { ...config, ...more } }));
  const url = await relay.url();
  const browser = stack.use(await startBrowser());
  const js = jetstream(client);
  let flowing: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();
  stack.defer(async () => {
    clearInterval(flowing);
    await last;
  });
  const owned = stack.move();

  async function publish(...[name, body, given = {}]: Parameters<PageLab["publish"]>): Promise<void> {
    const own = headers();
    for (const [key, value] of Object.entries(given)) own.append(key, value);
    await js.publish(`orders.${name}`, body, { headers: own });
  }

  return {
    url,
    relay,
    receiver,
    browser,
    publish,
    flow(names) {
      let order = 0;
      flowing = setInterval(() => {
        order += 1;
        const body = JSON.stringify({ order, total: "19.90" });
        last = Promise.all(names.map((name) => publish(name, body)));
      }, FLOW_EVERY_MS);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `/broken` fails, `/shipping` rejects every other one, the rest is taken. */
function answer({ path }: { readonly path: string }, index: number) {
  const headers = { "content-type": "application/json" };
  if (path.endsWith("/broken")) return { status: 500, headers, body: '{"error":"the database is down"}' };
  if (path.endsWith("/shipping") && index % 2 === 0) {
    return { status: 422, headers, body: '{"error":"no such article"}' };
  }
  return { status: 200, headers, body: '{"ok":true}' };
}

function labConfig({
  natsUrl,
  receiver,
  qos,
  entrypoint,
  names,
}: {
  natsUrl: string;
  receiver: Receiver;
  qos: string;
  entrypoint: Readonly<Record<string, unknown>>;
  names: readonly Name[];
}) {
  const subscription = (id: Name, configuration: Readonly<Record<string, unknown>> = {}) => ({
    id,
    application: id === "shipping" ? "warehouse" : "shop",
    configuration: {
      entrypointId: "webhook",
      channel: `orders.${id}`,
      callbackUrl: new URL(`/hooks/${id}`, receiver.url).href,
      deliverPolicy: "all",
      ...configuration,
    },
  });
  return {
    nats: { servers: [natsUrl] },
    endpoints: [
      { name: "orders", type: "jetstream", consumer: { stream: "ORDERS" } },
      { name: "letters", type: "jetstream", producer: { stream: "DLQ", subject: "dlq", create: true } },
    ],
    entrypoints: [
      {
        type: "webhook",
        qos,
        endpoint: "orders",
        dlq: { endpoint: "letters" },
        configuration: entrypoint,
      },
    ],
    subscriptions: names.map((name) =>
      subscription(name, name === "broken" ? { retry: { ...RETRY_ON_FAIL, maxAttempts: 1 } } : {}),
    ),
  };
}
