// PURE. The words for faults on the way to NATS, and the advice for each: Relay says them, and the reference lists them.

interface NatsFault {
  /** What the server or the client library says; null: Relay says it of itself. */
  readonly said: RegExp | null;
  readonly words: string;
  readonly advice: string;
}

/** After `Cannot reach SERVER:`, and as the reason of "Waiting for NATS" and "Lost NATS". The first that fits counts. */
const CONNECTION_FAULTS: readonly NatsFault[] = [
  {
    said: /^connection refused$/iu,
    words: "connection refused",
    advice: "nothing listens there: start nats-server, or mend host and port in `nats.servers`",
  },
  {
    said: /: name not found$/iu,
    words: "HOST: name not found",
    advice: "mind the spelling, and the host's name server",
  },
  {
    said: /^timeout$/iu,
    words: "no answer in time",
    advice: "a firewall on the way, or another program on that port",
  },
  {
    said: /^'?authorization violation'?$/iu,
    words: "it does not accept the credentials",
    advice: "check `nats.auth`; a server that demands credentials says the same if there are none",
  },
  {
    said: /^'?(?:user|account) authentication (?:expired|revoked)'?$/iu,
    words: "the credentials have expired, or were revoked",
    advice: "make new ones (`nsc generate creds`); Relay reads the file again at each try",
  },
  {
    said: /^'?authentication timeout'?$/iu,
    words: "it waited too long for the credentials",
    advice: "the host or the link is slow: raise `authorization.timeout` of the server",
  },
  {
    said: /^'?maximum (?:account active )?connections exceeded'?$/iu,
    words: "it takes no more connections",
    advice: "raise `max_connections` of the server, or that of the account",
  },
  {
    said: /self.signed certificate|unable to (?:get|verify) /iu,
    words: "its certificate is from an unknown authority",
    advice: "name the certificate of its authority in `nats.tls.caFile`",
  },
  {
    said: /does not match certificate's altnames/iu,
    words: "its certificate is for another name",
    advice: "write a name of its certificate into `nats.servers`",
  },
  {
    said: /certificate has expired|certificate is not yet valid/iu,
    words: "its certificate is not valid now",
    advice: "renew it, or set the clock of the host",
  },
  {
    said: /server does not support 'tls'/iu,
    words: "it does not speak TLS",
    advice: "write `nats://` and leave `nats.tls` out, or give the server a certificate",
  },
  {
    said: /wrong.version.number/iu,
    words: "it does not begin with TLS",
    advice: "leave out `nats.tls.handshakeFirst`: the server greets first",
  },
  {
    said: /certificate.required|bad.certificate|handshake.failure/iu,
    words: "it does not accept the client certificate, or demands one",
    advice: "`nats.tls.certFile` and `keyFile`; the log of the server says which",
  },
  {
    said: null,
    words: "no answer to pings",
    advice: "the server hangs, or the link is gone: Relay turns to another server, or connects again",
  },
  {
    said: /^(?:connection lost|connection closed|connection to NATS lost|not connected to NATS)$/u,
    words: "connection lost",
    advice: "the server stopped, or the link broke: Relay connects again by itself",
  },
];

/** In Relay's words; what they do not know stays as it was said. */
export function toNatsWords(said: string): string {
  const fault = CONNECTION_FAULTS.find((known) => known.said?.test(said) === true);
  return fault === undefined || fault.words.startsWith("HOST") ? said : fault.words;
}

/** What Relay says if NATS does not let it do something. Capitals and `…` stand for what differs. */
const REQUEST_FAULTS: readonly Row[] = [
  [
    'Permissions Violation for … to "SUBJECT"',
    "the account may not use that subject: see the permissions (`relay reference permissions`)",
  ],
  [
    "JetStream does not answer",
    "the server runs without JetStream (`nats-server -js`), the account has none, or may not ask it",
  ],
  ["JetStream domain DOMAIN does not answer", "mind `domain` of the endpoint, and the link of the leaf node"],
  ["no answer from JetStream in time", "too few servers of the cluster run, or they are overloaded"],
  [
    "unreadable answer from JetStream: …",
    "another client of the account answers in its place, or the server is newer",
  ],
  [
    "Cannot consume STREAM as CONSUMER: stream not found",
    "make the stream, or mend `consumer.stream`: Relay waits for it",
  ],
  [
    "Cannot consume STREAM as CONSUMER: its acks are refused: …",
    "let the account publish to `$JS.ACK.>`: else all messages come again",
  ],
  [
    "Cannot consume STREAM as CONSUMER: a push consumer has that name",
    "delete it, or give the subscription another id",
  ],
  [
    "Cannot consume STREAM as CONSUMER: …",
    "what follows is the reason of nats-server: `relay check --connect` says what it would refuse",
  ],
  ["Cannot read stream STREAM: stream not found", "as above; on a leaf node, mind `domain`"],
  [
    "Cannot read stream STREAM: …",
    "the server is busy or away, or the account may not publish to `$JS.API.STREAM.INFO`",
  ],
  [
    "Cannot read message SEQUENCE of STREAM: …",
    "the account may not publish to `$JS.API.STREAM.MSG.GET`, or the server is away",
  ],
  ["Cannot read consumer CONSUMER of STREAM: …", "as above, `$JS.API.CONSUMER.INFO`"],
  ["Cannot list the consumers of STREAM: …", "as above, `$JS.API.CONSUMER.LIST`"],
  [
    "Cannot delete consumer CONSUMER of STREAM: …",
    "as above, `$JS.API.CONSUMER.DELETE`; the server deletes it when nobody uses it",
  ],
  [
    "Cannot use the bucket",
    "states and commands stay on this host until it can be used; the reason stands beside it",
  ],
  ["Cannot change a key of the bucket", "as above: the bucket is full, or the account may not write to it"],
  ["the bucket has COUNT keys", "delete subscriptions made by API: it takes no more"],
  ["Cannot read the consumer lag", "lag and the pending counts are old until it can be read"],
  [
    "Cannot read the commands that waited for NATS",
    "the file in the state directory is damaged or unreadable: repeat them",
  ],
  [
    "Cannot write the commands that wait for NATS",
    "the state directory is full or read-only: they are lost if Relay stops now",
  ],
  ["Cannot keep the keys of dead letters", "as for the bucket: letters stay readable on this relay only"],
  ["Cannot read the keys of dead letters", "another `state.key` wrote them, or the bucket cannot be read"],
  [
    "Cannot decrypt the secrets of subscription NAME: …",
    "another `state.key` wrote them: set the same one on all relays",
  ],
  ["Dead-letter stream STREAM is full", "purge letters, or raise its limits: messages wait meanwhile"],
  ["Dead-letter stream STREAM: not found", "make it, or set `producer.create`"],
  ["Dead-letter stream STREAM: …", "what follows is the reason of nats-server; messages wait meanwhile"],
  ["no dead-letter endpoint", "the entrypoint has no `dlq`"],
];

type Row = readonly [words: string, advice: string];

/** As a Markdown table: faults on the way to NATS. */
export function describeConnectionFaults(): string {
  return toTable(CONNECTION_FAULTS.map(({ words, advice }) => [`Cannot reach SERVER: ${words}`, advice]));
}

/** As a Markdown table: what NATS refuses, or does not answer. */
export function describeRequestFaults(): string {
  return toTable(REQUEST_FAULTS);
}

function toTable(rows: readonly Row[]): string {
  const lines = rows.map(([words, advice]) => `| \`${words}\` | ${advice} |`);
  return ["| error of NATS | what to do |", "|---|---|", ...lines, ""].join("\n");
}
