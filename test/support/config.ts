// Configs for tests: one stream ORDERS, one entrypoint, one subscription `sub`, and what the test wants otherwise.

type Json = Readonly<Record<string, unknown>>;

export interface ConfigOptions {
  readonly natsUrl: string;
  readonly callbackUrl: string;
  readonly qos?: "NONE" | "AUTO" | "AT_MOST_ONCE" | "AT_LEAST_ONCE";
  /** Dead letters go to a stream DLQ that Relay makes. */
  readonly hasDeadLetters?: boolean;
  /** Of the entrypoint's `configuration`. */
  readonly entrypoint?: Json;
  /** Of the subscription's `configuration`. */
  readonly subscription?: Json;
  /** Of the consumer endpoint's `consumer`. */
  readonly consumer?: Json;
  /** At top level. */
  readonly more?: Json;
}

export const RETRY_ON_FAIL: Json = {
  retryOption: "Retry On Fail",
  retryStrategy: "LINEAR",
  maxAttempts: 3,
  initialDelaySeconds: 1,
  maxDelaySeconds: 2,
};

export function testConfig(options: ConfigOptions): Json {
  const { natsUrl, callbackUrl, qos = "AUTO", hasDeadLetters = false } = options;
  const letters = {
    name: "letters",
    type: "jetstream",
    producer: { stream: "DLQ", subject: "dlq", create: true },
  };
  return {
    nats: { servers: [natsUrl] },
    endpoints: [
      {
        name: "orders",
        type: "jetstream",
        consumer: { stream: "ORDERS", ackWaitSeconds: 5, ...options.consumer },
      },
      ...(hasDeadLetters ? [letters] : []),
    ],
    entrypoints: [
      {
        type: "webhook",
        endpoint: "orders",
        qos,
        ...(hasDeadLetters ? { dlq: { endpoint: "letters" } } : {}),
        configuration: { ...options.entrypoint },
      },
    ],
    subscriptions: [
      {
        id: "sub",
        configuration: {
          entrypointId: "webhook",
          callbackUrl,
          deliverPolicy: "all",
          ...options.subscription,
        },
      },
    ],
    ...options.more,
  };
}
