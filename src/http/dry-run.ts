// The dry run of a test: the request that a message would become, as the API shows it.

import type { Message } from "#delivery/message.ts";
import { toWebhookId } from "#delivery/message.ts";
import { toSampleMessage } from "#delivery/sample.ts";
import { isWithin } from "#delivery/subject.ts";
import type { Source, Subscription } from "#delivery/subscription.ts";
import type { DryRun } from "#pipeline/dry-run.ts";
import type { DryRunBody, DryRunView, SampleBody } from "#wire/dry-run.ts";
import { toHeaderPairs } from "./exchange-view.ts";

const MAX_SHOWN_BYTES = 65_536;

/** Whether a test's body asks for one: a message of a test is anything else. */
export function asksForDryRun(value: unknown): boolean {
  return typeof value === "object" && value !== null && "dryRun" in value && value.dryRun === true;
}

/** Null: the stream has no such message, or it is none of the subscription's. */
export async function toDryRunMessage(
  { source }: Subscription,
  asked: DryRunBody,
  messageAt: (sequence: number) => Promise<Message | null>,
): Promise<Message | null> {
  if ("sequence" in asked) {
    const found = await messageAt(asked.sequence);
    const { filterSubjects } = source;
    const isOwn =
      filterSubjects.length === 0 || filterSubjects.some((one) => isWithin(found?.subject ?? "", one));
    return isOwn ? found : null;
  }
  return toSample(source, asked);
}

/** A message that looks like one of the subscription, with what is `asked` for. */
export function toSample(source: Source, asked: SampleBody): Message {
  const body = new TextEncoder().encode(asked.body ?? "");
  const sample = toSampleMessage(source, { body, now: new Date() });
  return {
    ...sample,
    subject: asked.subject ?? sample.subject,
    headers: (asked.headers ?? []).map(({ name, value }) => [name, value] as const),
    body: asked.body === undefined ? sample.body : body,
  };
}

export function toDryRunView(message: Message, result: DryRun): DryRunView {
  const { subject, stream, sequence } = message;
  const about = { subject, stream, sequence, webhookId: toWebhookId(message) };
  if (result.kind !== "request") {
    const error = result.kind === "failed" ? result.error : null;
    return { result: result.kind, error, message: about, request: null };
  }
  const { request, body } = result;
  const isTruncated = body.byteLength > MAX_SHOWN_BYTES;
  return {
    result: "request",
    error: null,
    message: about,
    request: {
      method: request.method,
      url: request.url,
      headers: toHeaderPairs(request.headers),
      body: new TextDecoder().decode(body.subarray(0, MAX_SHOWN_BYTES), { stream: isTruncated }),
      bodyBytes: body.byteLength,
      truncated: isTruncated,
    },
  };
}
