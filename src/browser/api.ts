// Calls the API of Relay. Each operation has its answer's type; an answer is a value, also when it is refused.

import type { DeadLetterDetail, DeadLetterPage, PurgeBody, PurgeOutcomeView } from "#wire/dead-letter.ts";
import type { DeliveryDetail, DeliveryPage } from "#wire/delivery.ts";
import type { DryRunView } from "#wire/dry-run.ts";
import type { DraftTestBody } from "#wire/draft.ts";
import type { FleetView } from "#wire/fleet.ts";
import type { LoggingBody, LoggingView } from "#wire/logging.ts";
import type { ParkedKeyView, ParkedResumeBody } from "#wire/parked.ts";
import type { ReplayBody, ReplayView, ResendBody, StartedReplayView } from "#wire/replay.ts";
import type { CredentialsBody, SessionView } from "#wire/session.ts";
import type { ActivityView, Status } from "#wire/status.ts";
import type {
  ExchangeView,
  ResumeBody,
  SeekBody,
  SeekPreviewView,
  SubscriptionView,
} from "#wire/subscription.ts";
import type { Page } from "#wire/view.ts";
import { type Query, toApi, withQuery } from "./address.ts";

/** As it is written: wire/ has its whole schema, whose types would bring all of the config into the browser. */
interface Definition {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly configuration: Delivery & {
    readonly channel?: unknown;
    readonly entrypointConfiguration?: Delivery;
  };
}

interface Delivery {
  readonly method?: unknown;
  readonly headers?: readonly { readonly name: string; readonly value: unknown }[];
  readonly retry?: unknown;
  readonly auth?: { readonly type: string };
}

export type SubscriptionDetail = SubscriptionView & { readonly definition: Definition };

interface Operation<Answer, Body = undefined> {
  readonly answer: Answer;
  readonly body: Body;
}

type Command<Body = undefined> = Operation<SubscriptionView, Body>;

/** By method and path below the API; `:id` is the `id` of the call. */
interface Operations {
  readonly "GET /session": Operation<SessionView>;
  readonly "POST /session": Operation<SessionView, CredentialsBody>;
  readonly "DELETE /session": Operation<null>;
  readonly "GET /status": Operation<Status>;
  readonly "GET /fleet": Operation<FleetView>;
  readonly "GET /activity": Operation<Page<ActivityView>>;
  readonly "GET /config": Operation<unknown>;
  readonly "GET /subscriptions": Operation<Page<SubscriptionView>>;
  readonly "POST /subscriptions": Operation<SubscriptionView, unknown>;
  readonly "GET /subscriptions/:id": Operation<SubscriptionDetail>;
  readonly "PUT /subscriptions/:id": Operation<SubscriptionView, unknown>;
  readonly "DELETE /subscriptions/:id": Operation<null>;
  readonly "POST /subscriptions/:id/pause": Command;
  readonly "POST /subscriptions/:id/resume": Command<ResumeBody>;
  readonly "POST /subscriptions/:id/stop": Command;
  readonly "POST /subscriptions/:id/start": Command;
  readonly "POST /subscriptions/:id/seek": Command<SeekBody>;
  readonly "POST /subscriptions/:id/seek/preview": Operation<SeekPreviewView, SeekBody>;
  readonly "POST /subscriptions/test": Operation<ExchangeView | DryRunView, DraftTestBody>;
  readonly "POST /subscriptions/:id/test": Operation<ExchangeView | DryRunView, unknown>;
  readonly "GET /subscriptions/:id/parked": Operation<Page<ParkedKeyView>>;
  readonly "POST /subscriptions/:id/parked/resume": Operation<unknown, ParkedResumeBody>;
  readonly "POST /subscriptions/:id/resend": Operation<StartedReplayView, ResendBody>;
  readonly "GET /deliveries": Operation<DeliveryPage>;
  readonly "GET /deliveries/:id": Operation<DeliveryDetail>;
  readonly "GET /dead-letters": Operation<DeadLetterPage>;
  readonly "GET /dead-letters/:id": Operation<DeadLetterDetail>;
  readonly "DELETE /dead-letters": Operation<PurgeOutcomeView, PurgeBody>;
  readonly "GET /replays": Operation<Page<ReplayView>>;
  readonly "POST /replays": Operation<StartedReplayView, ReplayBody>;
  readonly "GET /replays/:id": Operation<ReplayView>;
  readonly "POST /replays/:id/pause": Operation<ReplayView>;
  readonly "POST /replays/:id/resume": Operation<ReplayView>;
  readonly "POST /replays/:id/stop": Operation<ReplayView>;
  readonly "GET /logging": Operation<Page<LoggingView>>;
  readonly "PUT /logging/:id": Operation<LoggingView, LoggingBody>;
  readonly "DELETE /logging/:id": Operation<LoggingView>;
}

type Name = keyof Operations;

/** Operations that read a page of a list. */
export type ListName = "GET /deliveries" | "GET /dead-letters";

export type AnswerOf<Of extends Name> = Operations[Of]["answer"];

export type ItemOf<Of extends ListName> = AnswerOf<Of>["items"][number];

export interface FieldFault {
  readonly path: string;
  readonly message: string;
}

interface Refused {
  readonly kind: "refused";
  /** 0: the relay did not answer. */
  readonly status: number;
  /** What was wrong, for people, its faults included. */
  readonly text: string;
  /** What was wrong, without its faults. */
  readonly detail: string;
  readonly faults: readonly FieldFault[];
}

export type CallResult<T> = { readonly kind: "ok"; readonly body: T } | Refused;

interface CallOptions<Body> {
  readonly id?: string;
  readonly query?: Query;
  readonly body?: Body;
  /** What the definition must still be, as its `revision`. */
  readonly ifRevision?: number | null;
  readonly withinMs?: number;
}

interface ProblemBody {
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly FieldFault[];
}

const WITHIN_MS = 10_000;

let onSignedOut: () => void = () => undefined;
let onReached: (isReached: boolean) => void = () => undefined;

/** What is to happen when the session is over, and when Relay stops answering or answers again. */
export function watchCalls(watch: { signedOut: () => void; reached: (isReached: boolean) => void }): void {
  onSignedOut = watch.signedOut;
  onReached = watch.reached;
}

export async function call<Of extends Name>(
  name: Of,
  options: CallOptions<Operations[Of]["body"]> = {},
): Promise<CallResult<AnswerOf<Of>>> {
  const { id = "", query = {}, body, ifRevision = null, withinMs = WITHIN_MS } = options;
  const [method = "GET", path = ""] = name.split(" ");
  try {
    const response = await fetch(withQuery(toApi(path.replace(":id", () => encodeURIComponent(id))), query), {
      method,
      signal: AbortSignal.timeout(withinMs),
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(ifRevision === null ? {} : { "if-match": `"${ifRevision}"` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    const content: unknown = isJson ? await response.json() : null;
    onReached(true);
    // The one place where an answer is believed to be what wire/ says.
    if (response.ok) return { kind: "ok", body: content as AnswerOf<Of> };
    if (response.status === 401 && path !== "/session") onSignedOut();
    return toRefused(response.status, content);
  } catch {
    onReached(false);
    const detail = "Relay does not answer";
    return { kind: "refused", status: 0, text: detail, detail, faults: [] };
  }
}

function toRefused(status: number, content: unknown): Refused {
  const { title = `Status ${status}`, detail = title, errors = [] } = (content ?? {}) as ProblemBody;
  const lines = errors.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  return { kind: "refused", status, text: [detail, ...lines].join(". "), detail, faults: errors };
}
