// What a subscription selects of its messages and makes of them, and the request that results. PURE.

import type { Header } from "./message.ts";

type Format = "raw" | "cloudevents-binary" | "cloudevents-structured";

/** JSONata expressions as texts; null: none. */
export interface ShapeSettings {
  readonly filter: string | null;
  readonly body: string | null;
  readonly path: string | null;
  readonly query: string | null;
  readonly method: string | null;
  /** Name and expression of each. */
  readonly headers: readonly Header[];
  readonly format: Format;
  /** Of CloudEvents: a text, or an expression after `=`; null: the default. */
  readonly source: string | null;
  readonly type: string | null;
}

export const UNSHAPED: ShapeSettings = {
  filter: null,
  body: null,
  path: null,
  query: null,
  method: null,
  headers: [],
  format: "raw",
  source: null,
  type: null,
};

/** What a request has in place of what its message and callback give it. */
export interface RequestParts {
  /** Null: that of the callback. */
  readonly method: "POST" | "PUT" | "PATCH" | null;
  /** Behind the path of the callback's URL, encoded; begins with `/`, or is empty. */
  readonly path: string;
  /** Behind the query of the callback's URL, encoded, without `?`. */
  readonly query: string;
  /** In place of the message's headers of these names; null: the message's is not sent either. */
  readonly headers: readonly (readonly [name: string, value: string | null])[];
  readonly body: Uint8Array;
}
