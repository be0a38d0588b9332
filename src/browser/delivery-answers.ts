// What the page reads of the delivery log and of its settings; all of it is in `/openapi.json`.

import type { Headers } from "./answers.ts";

export interface Attempt {
  readonly date: string;
  readonly status: number;
  readonly durationMs: number;
  readonly error: string | null;
}

export interface Delivery {
  readonly id: string;
  readonly date: string;
  readonly entrypoint: string;
  readonly subscription: string;
  readonly application: string | null;
  readonly method: string;
  readonly callbackUrl: string;
  readonly status: number;
  readonly durationMs: number;
  readonly attempts: readonly Attempt[];
  readonly error: string | null;
  readonly deadLettered: boolean;
}

/** Null: not captured. */
export interface Captured {
  readonly headers: Headers | null;
  readonly body: string | null;
  readonly encoding: "text" | "base64";
  readonly truncated: boolean;
}

export interface DeliveryDetail extends Delivery {
  readonly request: Captured | null;
  readonly response: Captured | null;
}

export interface LoggingSettings {
  readonly enabled: boolean;
  readonly request: { readonly headers: boolean; readonly payload: boolean };
  readonly response: { readonly headers: boolean; readonly payload: boolean };
}

export interface Sampling {
  readonly type: string;
  readonly value?: string;
}

export interface RecordSettings {
  readonly logging: LoggingSettings;
  readonly sampling: Sampling;
}

export interface EntrypointLogging {
  readonly entrypoint: string;
  readonly file: RecordSettings;
  /** What holds instead until then. */
  readonly override: (RecordSettings & { readonly until: string }) | null;
}
