// With which code a command ends.

import type { ErrorCode } from "#lib/errors.ts";

export const EXIT = { failure: 1, usage: 2, bug: 70, config: 78 } as const;

export function toExitCode(code: ErrorCode): number {
  switch (code) {
    case "config-invalid":
      return EXIT.config;
    case "usage":
      return EXIT.usage;
    case "nats-unavailable":
    case "stream-missing":
    case "consumer-refused":
    case "bucket-refused":
    case "missing-requirement":
    case "unavailable":
      return EXIT.failure;
  }
}
