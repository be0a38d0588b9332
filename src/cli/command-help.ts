// What the help of each command says below its options: what --json prints, the exit codes, and examples.

/** The parts of a help, in their order. */
interface HelpParts {
  /** Null: nothing. */
  readonly note: string | null;
  /** What `--json` prints; undefined: the command does not have it. */
  readonly json?: string | undefined;
  readonly exit: ExitCodes;
  /** Whole command lines. */
  readonly examples: readonly string[];
}

/** What 0, 1 and others mean; 2 means the same everywhere. */
type ExitCodes = Readonly<Record<number, string>>;

type CommandHelp = Pick<HelpParts, "exit" | "json"> & Partial<Pick<HelpParts, "examples" | "note">>;

const PRINTED: ExitCodes = { 0: "it is printed" };
/** Of a command that only reads. */
const SHOWN: ExitCodes = { 0: "it is shown", 1: "the relay refused it, or none is running" };
const DONE: ExitCodes = { 0: "it is done", 1: "the relay refused it, or none is running" };
const COMMANDED: ExitCodes = {
  0: "all of them are commanded, or none had to be",
  1: "the relay refused one, nobody confirmed, or no relay is running",
};
const REPLAYED: ExitCodes = {
  0: "all were delivered; with --dry-run or --detach: it is counted, or runs",
  1: "some were not, the relay refused it, or none is running",
};
const STEPS: ExitCodes = { 0: "it is done, or was done before", 1: "a step failed" };
const REPLAY_LINES = "a line for each step of the replay, as GET /api/replays/{id} answers";
const COMMANDED_JSON = '{ "items": [Subscription], "next": null, "faults": [text] }';
const answerOf = (operation: string) => `what ${operation} answers`;

const replays = (verb: string): CommandHelp => ({
  json: answerOf(`POST /api/replays/{id}/${verb}`),
  exit: DONE,
});

/** By what is typed after `relay`. Commands that ask a relay have note and examples of their own. */
const COMMANDS: Readonly<Record<string, CommandHelp>> = {
  run: {
    note: "It logs JSON lines, and text on a terminal. A change of the file takes effect at once.",
    exit: {
      0: "a signal stopped it, and it drained",
      1: "it cannot run here",
      70: "a bug in Relay",
      78: "the config is not valid",
    },
    examples: ["relay run", "relay run --config /etc/relay/relay.config.json"],
  },
  check: {
    note: "Faults go to standard error, the rest to standard output.",
    json: [
      '{ "path", "valid", "endpoints", "entrypoints", "subscriptions", "references", "server", "findings": [{ "level",',
      '"about", "file", "line", "column", "path", "message", "found", "allowed", "suggestion" }] }',
    ].join("\n"),
    exit: {
      0: "the config is valid",
      1: "--strict found a warning, or --connect found something that NATS does not have or would refuse",
      78: "the config is not valid",
    },
    examples: [
      "relay check",
      "relay check --config /etc/relay/relay.config.json --connect",
      "relay check --strict --without-secrets --json",
    ],
  },
  schema: { exit: PRINTED, examples: ["relay schema > relay.schema.json"] },
  init: {
    note: "Nobody else may read the file: secrets may be written into it later.",
    exit: { 0: "it is written", 1: "it cannot be written" },
    examples: ["relay init", "relay init --print"],
  },
  demo: {
    note: "It needs nats-server on the PATH.",
    exit: { 0: "it was shown", 1: "nats-server is missing, or did not start" },
    examples: ["relay demo", "relay demo --count 20"],
  },
  status: {
    json: answerOf("GET /api/status"),
    exit: { 0: "it is ready", 1: "it is not, or no relay is running" },
  },
  reload: {
    json: `${answerOf("POST /api/reload")}; if it was refused: { "kind": "refused", "report" }`,
    exit: {
      0: "the new config runs",
      1: "Relay refused the config and keeps the one before, or no relay is running",
    },
  },
  fleet: {
    note: [
      "It asks NATS as the config file says; of the secrets only those of nats are read. Without a file, or with --url,",
      "it asks a relay for the list.",
    ].join("\n"),
    json: answerOf("GET /api/fleet"),
    exit: { 0: "all are ready", 1: "one is not, none answered, or two have the same name" },
    examples: ["relay fleet", "relay fleet --watch", "relay fleet --url http://127.0.0.1:8080 --json"],
  },
  "subscriptions list": {
    json: '{ "items": [Subscription], "next": null, "orphans": [Orphan] }',
    exit: SHOWN,
  },
  "subscriptions show": { json: answerOf("GET /api/subscriptions/{id}"), exit: SHOWN },
  "subscriptions pause": { json: COMMANDED_JSON, exit: COMMANDED },
  "subscriptions resume": { json: COMMANDED_JSON, exit: COMMANDED },
  "subscriptions stop": { json: COMMANDED_JSON, exit: COMMANDED },
  "subscriptions start": { json: COMMANDED_JSON, exit: COMMANDED },
  "subscriptions parked": { json: answerOf("GET /api/subscriptions/{id}/parked"), exit: SHOWN },
  "subscriptions test": {
    json: answerOf("POST /api/subscriptions/{id}/test"),
    exit: {
      0: "the callback accepted it; with --dry-run: the request is shown",
      1: "it did not, an expression failed, or no relay is running",
    },
  },
  "subscriptions seek": {
    json: `${answerOf("POST /api/subscriptions/{id}/seek")}; with --dry-run: …/seek/preview`,
    exit: {
      0: "it is moved, or there was nothing to change",
      1: "the relay refused it, nobody confirmed, or no relay is running",
    },
  },
  "subscriptions resend": { json: REPLAY_LINES, exit: REPLAYED },
  "subscriptions delete": {
    exit: { 0: "it is deleted", 1: "the relay refused it, nobody confirmed, or no relay is running" },
  },
  logs: {
    json: `${answerOf("GET /api/deliveries")}; with --follow a line for each of its items`,
    exit: SHOWN,
  },
  "logs show": { json: answerOf("GET /api/deliveries/{id}"), exit: SHOWN },
  "logs export": { exit: { 0: "it is written", 1: "the relay refused it, or none is running" } },
  "dlq list": {
    json: '{ "items": [DeadLetter], "next", "faults": [text] }',
    exit: { 0: "they are shown", 1: "a stream cannot be read, or no relay is running" },
  },
  "dlq counts": {
    json: answerOf("GET /api/dead-letters/counts"),
    exit: { 0: "they are counted", 1: "a stream cannot be read, or no relay is running" },
  },
  "dlq show": { json: answerOf("GET /api/dead-letters/{id}"), exit: SHOWN },
  "dlq purge": {
    json: '{ "matched", "purged" }',
    exit: {
      0: "all that match are purged, or counted with --dry-run",
      1: "one that was named is not there, nobody confirmed, or no relay is running",
    },
  },
  "dlq replay": { json: REPLAY_LINES, exit: REPLAYED },
  "dlq replays list": { json: '{ "items": [Replay], "next": null }', exit: SHOWN },
  "dlq replays show": { json: answerOf("GET /api/replays/{id}"), exit: SHOWN },
  "dlq replays pause": replays("pause"),
  "dlq replays resume": replays("resume"),
  "dlq replays stop": replays("stop"),
  "service print": { exit: PRINTED, examples: ["relay service print > relay.service"] },
  "service install": {
    exit: STEPS,
    examples: ["relay service install --dry-run", "sudo relay service install"],
  },
  "service uninstall": { exit: STEPS, examples: ["sudo relay service uninstall"] },
  licenses: { exit: PRINTED, examples: ["relay licenses | less"] },
  reference: {
    exit: PRINTED,
    examples: [
      "relay reference errors",
      "relay reference man 5 | man -l -",
      "relay reference bash > /etc/bash_completion.d/relay",
    ],
  },
  version: { exit: PRINTED, examples: ["relay version"] },
};

const MANY_HOSTS = 'with --hosts: { "items": [{ "host", "exitCode", "answer", "error" }] }';

/** `remote`: the parts that a command which asks a relay brings with it; null: it asks none. */
export function helpOf(path: string, remote: Pick<HelpParts, "examples" | "note"> | null): string {
  const own: CommandHelp = { exit: PRINTED, ...COMMANDS[path], ...remote };
  const { json, exit, examples = [], note = null } = own;
  const printed = json === undefined ? [] : [json, ...(remote === null ? [] : [MANY_HOSTS])];
  const codes = Object.entries({ ...exit, 2: "wrong usage" });
  const lines = [
    "",
    ...(note === null ? [] : [note, ""]),
    ...(printed.length === 0
      ? []
      : [
          remote === null ? "JSON:" : "JSON (schemas: GET /openapi.json):",
          ...printed.flatMap((text) => text.split("\n")).map(indent),
          "",
        ]),
    "Exit codes:",
    ...codes.map(([code, meaning]) => indent(`${code.padStart(2)}  ${meaning}`)),
    "",
    "Examples:",
    ...examples.map(indent),
  ];
  return lines.join("\n");
}

function indent(line: string): string {
  return `  ${line}`;
}
