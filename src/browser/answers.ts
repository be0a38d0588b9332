// What the page reads of Relay's answers; all of them are in `/openapi.json`.

export interface Session {
  readonly auth: "none" | "token" | "basic" | "jwt";
  readonly signedIn: boolean;
  /** Null: nobody had to sign in. */
  readonly identity:
    | { readonly kind: "operator" }
    | { readonly kind: "jwt"; readonly scopes: readonly string[] }
    | null;
}

export interface RelayStatus {
  readonly version: string;
  readonly config: { readonly refused: string | null };
  readonly deliveryLog: { readonly fault: string | null };
  readonly nats: { readonly connected: boolean };
  readonly readiness: { readonly isReady: boolean; readonly reasons: readonly string[] };
}

export interface Subscription {
  readonly id: string;
  readonly application: string | null;
  readonly entrypoint: string;
  readonly qos: string;
  readonly callbackUrl: string;
  readonly status: "ACCEPTED" | "PAUSED" | "CLOSED";
  readonly consumerStatus: "STARTED" | "STOPPED" | "FAILURE";
  readonly failureCause: string | null;
  readonly failedAt: string | null;
  readonly state: "asleep" | "waiting" | "consuming" | "failed" | "closed" | "stopped";
  readonly reason: string | null;
  readonly notStored: string | null;
  readonly retrying: number;
  readonly pending: number | null;
  readonly ackPending: number | null;
}

export interface Activity {
  readonly subscription: string;
  readonly perSecond: number;
  readonly delivered: readonly number[];
  readonly failed: readonly number[];
}

export type Headers = readonly (readonly [name: string, value: string])[];

/** Of a test. */
export interface Exchange {
  readonly status: number;
  readonly error: string | null;
  readonly durationMs: number;
  readonly request: { readonly method: string; readonly url: string; readonly headers: Headers };
  readonly response: { readonly headers: Headers; readonly body: string; readonly truncated: boolean } | null;
}
