// Shows what a message would become: the request, nothing because of the filter, or the fault of an expression.

import type { Exchange } from "#delivery/exchange.ts";
import type { Message } from "#delivery/message.ts";
import { describeOutcome } from "#delivery/outcome.ts";
import { shapeMessage } from "./attempt.ts";
import type { Terms } from "./terms.ts";

export type DryRun =
  | { readonly kind: "request"; readonly request: Exchange["request"]; readonly body: Uint8Array }
  | { readonly kind: "filtered" }
  | { readonly kind: "failed"; readonly error: string };

/** Sends nothing and changes nothing. Never rejects. */
export async function dryRun(message: Message, terms: Terms, signal: AbortSignal): Promise<DryRun> {
  const { shaper, callback } = terms;
  const selection = await shaper.select?.(message, { attempt: 1, signal });
  if (selection?.kind === "filtered" || selection?.kind === "failed") return selection;
  const shaping = await shapeMessage(message, { terms, attempt: 1, signal });
  if (shaping.kind === "unshaped") return { kind: "failed", error: describeOutcome(shaping.fault) };
  const { parts } = shaping;
  return { kind: "request", request: callback.preview(message, parts), body: parts?.body ?? message.body };
}
