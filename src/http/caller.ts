// The environment of a request: what the listener tells the routes, and what the gate adds.

import type { Context } from "hono";
import type { Access } from "./access.ts";

export type Caller =
  /** The control socket: anybody who can open the file may do everything. */
  | { readonly kind: "socket" }
  /** A NATS client: its permissions were decided by NATS. */
  | { readonly kind: "nats"; readonly tenant: string; readonly mayWrite: boolean }
  | {
      readonly kind: "network";
      /** The other end's IP address. */
      readonly address: string;
      /** The port that it came in on. */
      readonly port: number;
      /** True: over TLS. */
      readonly isSecure: boolean;
    };

/** What a listener gives with each request. */
export interface Bindings {
  readonly caller: Caller;
  /** Aborts when the answer has been taken, or the client is gone and the route has ended all the same. */
  readonly over: AbortSignal;
}

/** What a route finds in its context, as `context.env.caller` and `context.get("access")`. */
export interface ServerEnv {
  readonly Bindings: Bindings;
  readonly Variables: {
    access: Access;
    /** Whose work it is, where that is limited. */
    tenant: string;
    /** Whether the session or the credentials that it came with still hold: to be asked by an answer that lasts. */
    isStillAdmitted: () => boolean;
  };
}

export type ServerContext = Context<ServerEnv>;
