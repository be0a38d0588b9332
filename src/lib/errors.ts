// The one error class: a code to branch on and a sentence for people.

export type ErrorCode =
  /** The config file has faults; `message` is the whole report. */
  | "config-invalid"
  /** A command was used incorrectly. */
  | "usage"
  /** NATS is unreachable, or did not answer in time. */
  | "nats-unavailable"
  /** A required stream does not exist (yet). */
  | "stream-missing"
  /** The stream or the server does not support the subscription's settings. */
  | "consumer-refused"
  /** The bucket will never accept the change. */
  | "bucket-refused"
  /** Something outside of Relay that a command needs is missing. */
  | "missing-requirement"
  /** The listener or a file of the relay cannot be opened. */
  | "unavailable";

export class RelayError extends Error {
  readonly code: ErrorCode;

  /** `message`: what failed, why, and the value; sentence case, no final period, no secret. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RelayError";
    this.code = code;
  }
}

/** The message of anything thrown; of an error without one, its code or its name. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== "") return error.message;
  return "code" in error ? String(error.code) : error.name;
}

/** The code of a system error, such as `ENOENT`; empty: none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
