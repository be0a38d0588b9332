// Dead letters of a relay under test: one subscription whose letters go to the streams that the test names, and how to read them.

import { jetstream, jetstreamManager, type JetStreamManager, type StoredMsg } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { headers as createHeaders, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { SIGNATURE_HEADER } from "#bucket/signer.ts";
import { signLetter } from "#letters/signature.ts";
import { type ConfigOptions, testConfig } from "./config.ts";
import { eventually } from "./eventually.ts";
import { addStream } from "./nats.ts";
import { type NatsServer, startNatsServer } from "./nats-server.ts";
import { type Receiver, type Respond, startReceiver } from "./receiver.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "./relay.ts";

export interface StartOptions {
  readonly qos?: NonNullable<ConfigOptions["qos"]>;
  /** The streams of the dead-letter endpoints, in order; their subjects are the same in lower case. */
  readonly letterStreams?: readonly string[];
  readonly entrypoint?: ConfigOptions["entrypoint"];
  readonly subscription?: ConfigOptions["subscription"];
  /** `dlq.replay` of the entrypoint. */
  readonly replay?: object;
  /** Subscriptions beside `sub`, by their ids, with their callback URLs. */
  readonly others?: Readonly<Record<string, string>>;
  /** Of the relay; default: the same one for each. */
  readonly directory?: string;
  readonly more?: object;
}

export interface LettersSetup extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly client: NatsConnection;
  readonly manager: JetStreamManager;
  readonly receiver: Receiver;
  /** With the state of the relay before it. */
  start: (options?: StartOptions) => Promise<RelayProcess>;
  publish: (body: string | Uint8Array, headers?: MsgHdrs) => Promise<number>;
  isThrough: () => Promise<boolean>;
  ackFloor: () => Promise<number>;
}

export async function setUpLetters({
  respond = () => 404,
  natsConfig = "",
}: { respond?: Respond; natsConfig?: string } = {}) {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer({ configText: natsConfig }));
  const receiver = stack.use(await startReceiver(respond));
  const directory = stack.use(await temporaryDirectory()).path;
  const client = await nats.connect();
  const manager = await jetstreamManager(client);
  await addStream(client);
  const owned = stack.move();
  const consumer = () => manager.consumers.info("ORDERS", "relay-sub");
  const setup: LettersSetup = {
    nats,
    client,
    manager,
    receiver,
    start: (options = {}) =>
      startRelay({
        directory: options.directory ?? directory,
        config: toConfig(nats.url, receiver.url.href, options),
      }),
    async publish(body, headers) {
      const options = headers === undefined ? {} : { headers };
      return (await jetstream(client).publish("orders.new", body, options)).seq;
    },
    async isThrough() {
      const { num_ack_pending, num_pending } = await consumer();
      return num_ack_pending === 0 && num_pending === 0;
    },
    ackFloor: async () => (await consumer()).ack_floor.stream_seq,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  return setup;
}

function toConfig(natsUrl: string, callbackUrl: string, options: StartOptions): Record<string, unknown> {
  const { qos = "AUTO", letterStreams = ["DLQ"], entrypoint = {}, subscription = {}, more = {} } = options;
  const dlq = {
    endpoint: "letters",
    ...(options.replay === undefined ? {} : { replay: options.replay }),
  };
  const base = testConfig({ natsUrl, callbackUrl, qos, entrypoint });
  return {
    ...base,
    endpoints: [
      { name: "orders", type: "jetstream", consumer: { stream: "ORDERS", ackWaitSeconds: 5 } },
      ...letterStreams.map((stream) => ({
        name: stream,
        type: "jetstream",
        producer: { stream, subject: stream.toLowerCase() },
      })),
    ],
    endpointGroups: [{ name: "letters", endpoints: letterStreams }],
    entrypoints: [{ type: "webhook", endpoint: "orders", qos, dlq, configuration: entrypoint }],
    subscriptions: [
      {
        id: "sub",
        application: "billing & co",
        configuration: { entrypointId: "webhook", callbackUrl, deliverPolicy: "all", ...subscription },
      },
      ...Object.entries(options.others ?? {}).map(([id, url]) => ({
        id,
        configuration: { entrypointId: "webhook", callbackUrl: url, deliverPolicy: "new" },
      })),
    ],
    ...more,
  };
}

export async function addLetterStream({ client }: LettersSetup, name: string): Promise<void> {
  await addStream(client, { name, subjects: [`${name.toLowerCase()}.>`] });
}

/** As a relay would write it that has the key of the cluster: one must have stored a letter before. */
export async function publishSigned(
  { client }: LettersSetup,
  { stream, subject, body }: { stream: string; subject: string; body: string },
): Promise<void> {
  const entry = await (await new Kvm(client).open("relay")).get("letters.key");
  if (entry === null) throw new Error("There is no key yet");
  const { keys } = entry.json<{ keys: readonly { id: string; secret: string }[] }>();
  const [key] = keys;
  if (key === undefined) throw new Error("There is no key yet");
  const headers = createHeaders();
  const secret = Buffer.from(key.secret, "base64url");
  const letter = { stream, subject, headers: [] };
  headers.append(SIGNATURE_HEADER, signLetter(letter, Buffer.from(body), { id: key.id, secret }));
  await jetstream(client).publish(subject, body, { headers });
}

export async function countLetters({ manager }: LettersSetup, stream: string): Promise<number> {
  return (await manager.streams.info(stream)).state.messages;
}

export async function readLetter(
  { manager }: LettersSetup,
  stream: string,
  sequence = 1,
): Promise<StoredMsg> {
  const what = `letter ${sequence} in ${stream}`;
  return eventually(async () => (await manager.streams.getMessage(stream, { seq: sequence })) ?? undefined, {
    what,
  });
}

/** Without those that steer the server: it stores them with the rest. */
export function headersOf({ header }: StoredMsg): Record<string, readonly string[]> {
  const own = [...header].filter(([name]) => !name.startsWith("Nats-Expected-"));
  return Object.fromEntries(own);
}

/** `<sequence>-<time in base 36>`, from what the server says of the message. */
export async function tokenOf(
  { manager }: LettersSetup,
  sequence: number,
): Promise<{ token: string; time: string }> {
  const time = (await manager.streams.getMessage("ORDERS", { seq: sequence }))?.timestamp ?? "";
  const [seconds = "", fraction = ""] = time.replace("Z", "").split(".");
  const nanos = BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
  return { token: nanos.toString(36), time };
}
