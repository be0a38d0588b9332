// `relay demo`: starts a nats-server, a receiver and a relay, and prints what happens, line by line.

import { counted } from "#lib/counted.ts";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { styleText } from "node:util";
import { startApp } from "#app/app.ts";
import { loadConfig } from "#config/load.ts";
import { describeOutcome, statusOf } from "#delivery/outcome.ts";
import { RelayError } from "#lib/errors.ts";
import { createLogger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import { VERSION } from "#lib/version.ts";
import { findNatsServer, startLocalServer } from "#nats/local-server.ts";
import type { Attempted, Observer, Settled } from "#pipeline/observer.ts";
import { demoMessage, startDemoReceiver } from "./demo-receiver.ts";

interface DemoOptions {
  /** Ends after this many messages; null: when `stopping` aborts. */
  readonly count: number | null;
  readonly stopping: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface Io {
  readonly stdout: (text: string) => void;
}

const PUBLISH_INTERVAL_MS = 250;

/** Resolves with the exit code. Rejects with a RelayError where no nats-server is installed. Leaves nothing behind. */
export async function runDemo({ count, stopping, env }: DemoOptions, io: Io): Promise<number> {
  const program = findNatsServer(env["PATH"] ?? "");
  if (program === null) throw missingServer();
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "relay-demo-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const nats = await startLocalServer(program, directory);
  stack.defer(nats.stop);
  const receiver = startDemoReceiver();
  stack.defer(receiver.close);
  await nats.createStream("SHOP", ["shop.>"]);

  const configPath = join(directory, "relay.config.json");
  await writeFile(configPath, JSON.stringify(demoConfig(nats.url, receiver.url), null, 2));
  const config = await loadConfig(configPath, { env: {} });
  // What happens is shown line by line below: the process log would say it twice.
  const logger = createLogger({
    ...config.logs,
    write: () => undefined,
    now: () => new Date(),
  });
  const show = createShow(io);
  const app = await startApp(config, {
    logger,
    observers: [show.observer],
    reload: {
      configPath,
      run: () => Promise.resolve({ kind: "refused", report: "The demo keeps its config" }),
      refused: () => null,
    },
  });
  stack.defer(app.stop);
  io.stdout(
    `relay ${VERSION} · nats-server ${nats.version} at ${nats.url} · receiver at ${receiver.url}\n` +
      `The page is at ${app.url} meanwhile. Ctrl-C ends it and leaves nothing behind.\n\n`,
  );

  for (let n = 1; n <= (count ?? Infinity) && !stopping.aborted; n += 1) {
    const { subject, body } = demoMessage(n);
    await nats.publish(subject, body, [["Content-Type", "application/json"]]);
    await sleep(PUBLISH_INTERVAL_MS, stopping);
  }
  if (count !== null) await show.reached(count, stopping);
  io.stdout(`\n${show.summary()}\n`);
  return 0;
}

function missingServer(): RelayError {
  return new RelayError(
    "missing-requirement",
    "Cannot show the demo: it needs the program nats-server, which is not installed. On Debian and Ubuntu:\n" +
      "  sudo apt-get install nats-server",
  );
}

/** Orders go on past a rejection, invoices stop at a failure and try again by themselves. */
function demoConfig(natsUrl: string, receiverUrl: string): object {
  const http = { readTimeout: 2000 };
  return {
    nats: { servers: [natsUrl] },
    server: { listen: "127.0.0.1:0" },
    endpoints: [
      { name: "shop", type: "jetstream", consumer: { stream: "SHOP" } },
      { name: "letters", type: "jetstream", producer: { stream: "DLQ", subject: "dlq", create: true } },
    ],
    entrypoints: [
      {
        type: "webhook",
        endpoint: "shop",
        qos: "AUTO",
        dlq: { endpoint: "letters" },
        configuration: { http, interruptConsumptionOnServerError: false },
      },
      {
        type: "webhook",
        id: "in-order",
        endpoint: "shop",
        qos: "AT_LEAST_ONCE",
        configuration: { http, resume: { strategy: "AUTO", initialDelaySeconds: 1, maxDelaySeconds: 5 } },
      },
    ],
    subscriptions: [
      {
        id: "orders",
        configuration: {
          entrypointId: "webhook",
          channel: "shop.orders",
          callbackUrl: `${receiverUrl}orders`,
          retry: { retryOption: "Retry On Fail", retryStrategy: "EXPONENTIAL" },
        },
      },
      {
        id: "invoices",
        configuration: {
          entrypointId: "in-order",
          channel: "shop.invoices",
          callbackUrl: `${receiverUrl}invoices`,
        },
      },
    ],
  };
}

interface Show {
  readonly observer: Observer;
  /** Resolves when so many messages were delivered or dead-lettered, or `signal` aborts. */
  reached: (count: number, signal: AbortSignal) => Promise<void>;
  summary: () => string;
}

function createShow(io: Io): Show {
  const startedAt = performance.now();
  const counts = { delivered: 0, retries: 0, deadLetters: 0, interruptions: 0, missing: 0 };
  let onEnding: () => void = () => undefined;

  function say({ subscription, message }: Attempted | Settled, text: string): void {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(2).padStart(6);
    const about = `${message.subject} ${message.sequence}`.padEnd(18);
    io.stdout(`${styleText("dim", `${seconds} s`)}  ${subscription.id.padEnd(9)} ${about} ${text}\n`);
  }

  function attempted(report: Attempted): void {
    const { exchange, action, attempt } = report;
    const answer = `${statusOf(exchange.outcome)} in ${Math.round(exchange.durationMs)} ms`;
    switch (action.kind) {
      case "ack":
        say(report, `${styleText("green", answer)}, delivered${attempt > 1 ? ` by attempt ${attempt}` : ""}`);
        break;
      case "retry":
        counts.retries += 1;
        say(report, `${styleText("yellow", answer)}, retry in ${(action.delayMs / 1000).toFixed(1)} s`);
        break;
      case "interrupt":
        counts.interruptions += 1;
        say(
          report,
          `${styleText("red", answer)}, interrupted: goes back to the stream, tries again by itself`,
        );
        break;
      case "dead-letter":
      case "drop":
        say(report, styleText("red", describeOutcome(exchange.outcome)));
    }
  }

  function settled(report: Settled): void {
    switch (report.ending.kind) {
      case "delivered":
        counts.delivered += 1;
        break;
      case "dead-lettered":
        counts.deadLetters += 1;
        say(report, styleText("magenta", "dead letter stored on DLQ"));
        break;
      case "dropped":
      case "lost":
        counts.missing += 1;
        break;
      case "marker":
      case "suppressed":
      case "skipped":
      case "filtered":
      case "expired":
      case "failed-again":
      case "returned":
        break;
    }
    onEnding();
  }

  return {
    observer: { attempted, settled, postponed: () => {} },
    async reached(count, signal) {
      await new Promise<void>((resolve) => {
        onEnding = () => {
          if (counts.delivered + counts.deadLetters + counts.missing >= count) resolve();
        };
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve(), { once: true });
        onEnding();
      });
    },
    summary: () =>
      [
        `${counts.delivered} delivered`,
        counted(counts.retries, "retry", "retries"),
        counted(counts.deadLetters, "dead letter", "dead letters"),
        counted(counts.interruptions, "interruption", "interruptions"),
        `${counts.missing} lost`,
      ].join(", "),
  };
}
