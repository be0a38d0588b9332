// The CloudEvents that a relay publishes of itself: changes of state, and deliveries.

interface RelayEvent {
  /** `host.name`. */
  readonly host: string;
  readonly type: "relay.subscription.changed" | "relay.delivery";
  /** Id of the subscription. */
  readonly subject: string;
  /** RFC 3339. */
  readonly time: string;
  readonly data: object;
}

/** CloudEvents 1.0 in JSON. */
export function toEventText({ host, type, subject, time, data }: RelayEvent): string {
  return JSON.stringify({
    specversion: "1.0",
    id: crypto.randomUUID(),
    source: `/relay/${host}`,
    type,
    subject,
    time,
    datacontenttype: "application/json",
    data,
  });
}
