// Commands on a subscription: pause, resume, stop, start, seek, test.

import type { Hono } from "hono";

import type { BodyFault } from "#config/parse-subscription.ts";
import type { Command } from "#delivery/status.ts";
import type { SeekPreview } from "#consumer/seek-preview.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import { RelayError } from "#lib/errors.ts";
import { parseJson } from "#lib/json.ts";
import { sleep } from "#lib/sleep.ts";
import type { Registered } from "#registry/registry.ts";
import { dryRunBodySchema, testAnswerSchema } from "#wire/dry-run.ts";
import {
  resumeBodySchema,
  seekPreviewSchema,
  seekSchema,
  subscriptionViewSchema,
} from "#wire/subscription.ts";
import { BODY_FAULTS } from "./body.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { asksForDryRun, toDryRunMessage, toDryRunView } from "./dry-run.ts";
import { toExchangeView } from "./exchange-view.ts";
import { describe, json, type Operation } from "./operation.ts";
import { type Problem, toFaultsProblem } from "./problem.ts";
import {
  isOperator,
  NOT_FOUND,
  NOT_OPERATOR,
  type Reach,
  type SubscriptionsOptions,
} from "./subscription-reach.ts";
import * as v from "valibot";

interface CommandsOptions extends Pick<
  SubscriptionsOptions,
  "registry" | "lastSequenceOf" | "previewSeek" | "messageAt" | "slots"
> {
  readonly reach: Reach;
}

/** Time limit for a seek, which waits for requests in flight. */
const SEEK_MS = 30_000;
export const MAX_TEST_BYTES = 65_536;

const ONE = { id: "Id of the subscription" };
const NOW = json(subscriptionViewSchema, "The subscription, in its new state");
/** Its answers and problems are those of all commands that the bucket stores. */
const STORED = {
  tag: "Subscriptions",
  params: ONE,
  answers: [
    NOW,
    json(
      subscriptionViewSchema,
      "NATS is not available: the command holds on this relay, which stores it later, and `notStored` says why",
      { status: 202 },
    ),
  ],
  problems: [404, 409, 503],
} as const satisfies Partial<Operation>;
const COMMANDS: Readonly<Record<"pause" | "stop" | "start", Operation>> = {
  pause: {
    ...STORED,
    id: "pauseSubscription",
    summary: "Pauses a subscription, as its operator",
    description: "Sets `status` to PAUSED. No message is lost: they wait in the stream.",
    access: "operator",
  },
  stop: {
    ...STORED,
    id: "stopSubscription",
    summary: "Stops a subscription, as its consumer",
    description: "Sets `consumerStatus` to STOPPED. No message is lost: they wait in the stream.",
    access: "write",
  },
  start: {
    ...STORED,
    id: "startSubscription",
    summary: "Starts a subscription, as its consumer",
    description: "Sets `consumerStatus` to STARTED, also after a FAILURE.",
    access: "write",
  },
};
const RESUME: Operation = {
  ...STORED,
  id: "resumeSubscription",
  summary: "Resumes a subscription, as its operator",
  description:
    "Sets `status` to ACCEPTED, and ends a FAILURE. With `skip` the message that caused it is acknowledged.",
  access: "operator",
  body: { schema: resumeBodySchema, isRequired: false, description: "Empty: nothing is skipped" },
  problems: [400, 404, 409, 422, 503],
};
const SEEK: Operation = {
  id: "seekSubscription",
  tag: "Subscriptions",
  summary: "Moves a subscription to another position in the stream",
  description:
    "Requests in flight end first. Going back sends messages again, going forward leaves some out.",
  access: "write",
  params: ONE,
  body: { schema: seekSchema, isRequired: true, description: "Where to go on" },
  answers: [NOW],
  problems: [400, 404, 409, 422, 503],
};
const PREVIEW: Operation = {
  id: "previewSeek",
  tag: "Subscriptions",
  summary: "Tells what a seek would do",
  description: "Nothing is changed. The counts are those of now, and messages may come meanwhile.",
  access: "write",
  params: ONE,
  body: { schema: seekSchema, isRequired: true, description: "Where it would go on" },
  answers: [json(seekPreviewSchema, "Where it stands, and the effect of the seek")],
  problems: [400, 404, 409, 422, 503],
};
const TEST: Operation = {
  id: "testSubscription",
  tag: "Subscriptions",
  summary: "Sends a test message to the callback, and shows the exchange",
  description:
    'With everything that is configured except the filter, and the header `X-Relay-Test: true`. The stream and the state of the subscription are not touched. A body with `"dryRun": true` sends nothing and shows what a message would become: `sequence` names one of the stream, or `body`, `subject` and `headers` make one up.',
  access: "write",
  params: ONE,
  body: {
    schema: null,
    isRequired: false,
    description: "The test message, 64 KiB at most; empty: Relay makes one up",
  },
  answers: [json(testAnswerSchema, "The request and the response, or the dry run")],
  problems: [404, 409, 413, 422, 429, 503],
};

export function addSubscriptionCommands(
  routes: Hono<ServerEnv>,
  {
    registry,
    reach: { find, view, refuse, answerBody },
    lastSequenceOf,
    previewSeek,
    messageAt,
    slots,
  }: CommandsOptions,
): void {
  /** A RelayError becomes a problem; any other error is a bug. */
  async function refuseFault(answer: () => Response | Promise<Response>): Promise<Response> {
    try {
      return await answer();
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      const isPassing = error.code === "nats-unavailable" || error.code === "unavailable";
      return refuse({ status: isPassing ? 503 : 409, detail: error.message });
    }
  }

  async function command(context: ServerContext, found: Registered, command: Command): Promise<Response> {
    await registry().command(found.subscription.id, command);
    const shown = view(context, found);
    return context.json(shown, shown.notStored === null ? 200 : 202);
  }

  for (const kind of ["pause", "stop", "start"] as const) {
    routes.post(`/:id/${kind}`, describe(COMMANDS[kind]), (context) => {
      const found = find(context);
      if (found === null) return refuse(NOT_FOUND);
      if (kind === "pause" && !isOperator(context)) return refuse(NOT_OPERATOR);
      return refuseFault(() => command(context, found, { kind }));
    });
  }

  routes.post("/:id/resume", describe(RESUME), (context) =>
    answerBody(
      context,
      { schema: resumeBodySchema, mayBeEmpty: true, isForOperators: true },
      (found, { skip }) => refuseFault(() => command(context, found, { kind: "resume", skip })),
    ),
  );

  /** Checks what a seek and its preview have in common. */
  function withSeek(
    context: ServerContext,
    answer: (found: Registered, start: DeliverPolicy) => Promise<Response>,
  ): Promise<Response> {
    return answerBody(context, { schema: seekSchema }, (found, target) =>
      refuseFault(async () => {
        const start = toDeliverPolicy(target);
        const lastSequence = await lastSequenceOf(found.subscription);
        const fault = findSeekFault(start, { lastSequence, now: new Date() });
        if (fault !== null) return refuse({ status: 422, detail: BODY_FAULTS, errors: [fault] });
        return answer(found, start);
      }),
    );
  }

  routes.post("/:id/seek", describe(SEEK), (context) =>
    withSeek(context, async (found, start) => {
      await endsInTime(registry().seek(found.subscription.id, start));
      return context.json(view(context, found));
    }),
  );

  routes.post("/:id/seek/preview", describe(PREVIEW), (context) =>
    withSeek(context, async (found, start) => {
      const preview = await previewSeek(found.subscription, start);
      return context.json({ ...preview, effect: describeEffect(preview) });
    }),
  );

  async function answerDryRun(context: ServerContext, found: Registered, asked: unknown): Promise<Response> {
    const parsed = v.safeParse(dryRunBodySchema, asked);
    if (!parsed.success) return refuse(toFaultsProblem(422, parsed.issues, BODY_FAULTS));
    return refuseFault(async () => {
      const { subscription } = found;
      const at = (sequence: number) => messageAt(subscription, sequence);
      const message = await toDryRunMessage(subscription, parsed.output, at);
      if (message === null) return refuse({ status: 422, detail: BODY_FAULTS, errors: [NO_MESSAGE] });
      return context.json(toDryRunView(message, await registry().dryRun(subscription.id, message)));
    });
  }

  routes.post("/:id/test", describe(TEST), async (context) => {
    const body = new Uint8Array(await context.req.arrayBuffer());
    const found = find(context);
    if (found === null) return refuse(NOT_FOUND);
    if (body.length > MAX_TEST_BYTES) return refuse(TEST_TOO_LARGE);
    if (!slots.tests.take(context.get("tenant"), context.env.over)) return refuse(TOO_MANY_TESTS);
    const asked = parseJson(new TextDecoder().decode(body));
    if (asksForDryRun(asked)) return answerDryRun(context, found, asked);
    return refuseFault(async () => {
      const exchange = await registry().test(found.subscription.id, body);
      const isShown = isOperator(context) || found.subscription.callback.ownsSecrets;
      return context.json(toExchangeView(exchange, { isAnswerShown: isShown }));
    });
  });
}

const NO_MESSAGE: BodyFault = {
  path: "sequence",
  message: "the stream has no such message, or it is none of the subscription's",
};

export const TEST_TOO_LARGE: Problem = { status: 413, detail: "A sample has 64 KiB at most" };

export const TOO_MANY_TESTS: Problem = {
  status: 429,
  detail: "Too many tests are under way already",
  headers: { "retry-after": "1" },
};

async function endsInTime(move: Promise<void>): Promise<void> {
  const waiting = new AbortController();
  const late = sleep(SEEK_MS, waiting.signal).then((isElapsed) => {
    if (!isElapsed) return;
    const seconds = SEEK_MS / 1000;
    throw new RelayError("unavailable", `The seek has not ended within ${seconds} s, and may do so yet`);
  });
  await Promise.race([move, late]).finally(() => waiting.abort());
}

/** An empty body is `{}`; undefined: it cannot be read. */
function toDeliverPolicy(target: v.InferOutput<typeof seekSchema>): DeliverPolicy {
  if ("to" in target) return { kind: target.to };
  if ("sequence" in target) return { kind: "start-sequence", sequence: target.sequence };
  return { kind: "start-time", time: new Date(target.time) };
}

/** `about`: messages come and go meanwhile. */
function describeEffect({ waiting, afterwards, changes }: SeekPreview): string {
  if (!changes) return "nothing changes";
  if (afterwards === null) return "how many messages that repeats or leaves out is not known";
  if (waiting === null) return `about ${countMessages(afterwards)} sent`;
  if (afterwards === waiting) return "no message is sent again, and none is left out";
  const isBack = afterwards > waiting;
  return `about ${countMessages(Math.abs(afterwards - waiting))} ${isBack ? "sent again" : "left out"}`;
}

function countMessages(number: number): string {
  return number === 1 ? "1 message is" : `${number.toLocaleString("en")} messages are`;
}

/** Refuses a position after the end of the stream: nats-server would start at the next message instead. Null: no fault. */
export function findSeekFault(
  start: DeliverPolicy,
  { lastSequence, now }: { lastSequence: number; now: Date },
): BodyFault | null {
  const next = lastSequence + 1;
  const end = `the stream ends at ${lastSequence}`;
  if (start.kind === "start-sequence" && start.sequence > next)
    return { path: "sequence", message: `found ${start.sequence}, allowed: up to ${next}, for ${end}` };
  if (start.kind === "start-time" && start.time > now)
    return { path: "time", message: `found a time to come, allowed: up to now, for ${end}` };
  return null;
}
