// `relay init`: writes a first config file.

import { writeFile } from "node:fs/promises";
import { codeOf, RelayError } from "#lib/errors.ts";
import { type Output, toWriteFault } from "./output.ts";

interface InitOptions {
  readonly path: string;
  /** Replace a file that is there. */
  readonly force: boolean;
  /** Print it instead of writing it. */
  readonly print: boolean;
}

const STARTER = {
  $schema: "./relay.schema.json",
  nats: { servers: ["nats://127.0.0.1:4222"] },
  endpoints: [
    {
      name: "orders",
      type: "jetstream",
      consumer: { stream: "ORDERS", subjects: ["orders.>"] },
    },
    {
      name: "dead-letters",
      type: "jetstream",
      producer: { stream: "DEAD_LETTERS", subject: "dead-letters", create: true },
    },
  ],
  entrypoints: [
    {
      type: "webhook",
      endpoint: "orders",
      qos: "AUTO",
      dlq: { endpoint: "dead-letters" },
      configuration: {
        resume: { strategy: "AUTO" },
        retry: {
          retryOption: "Retry On Fail",
          retryStrategy: "EXPONENTIAL",
          maxAttempts: 3,
          initialDelaySeconds: 1,
          maxDelaySeconds: 60,
        },
      },
    },
  ],
  subscriptions: [
    {
      id: "orders-to-localhost",
      configuration: { entrypointId: "webhook", callbackUrl: "http://127.0.0.1:9000/" },
    },
  ],
};

export const STARTER_TEXT = `${JSON.stringify(STARTER, null, 2)}\n`;

/** Resolves with the exit code 0. Rejects with a RelayError where a file is there already or cannot be written. */
export async function runInit({ path, force, print }: InitOptions, io: Output): Promise<number> {
  if (print) {
    io.stdout(STARTER_TEXT);
    return 0;
  }
  try {
    // Secrets may be written into it later.
    await writeFile(path, STARTER_TEXT, { flag: force ? "w" : "wx", mode: 0o600 });
  } catch (error) {
    throw toWriteError(path, error);
  }
  io.stdout(
    `${path} was written: put your stream and your callback into it, then run: relay check\n` +
      "For completion in your editor: relay schema > relay.schema.json\n",
  );
  return 0;
}

function toWriteError(path: string, error: unknown): RelayError {
  if (path === "") return new RelayError("usage", "Cannot write '': it names no file");
  const code = codeOf(error);
  if (code === "EEXIST") {
    return new RelayError("usage", `Cannot write ${path}: it exists already, and --force replaces it`);
  }
  return toWriteFault(path, error);
}
