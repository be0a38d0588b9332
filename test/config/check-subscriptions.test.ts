// Faults of subscriptions: ids, references, URLs, headers, channels and times.

import { expect, test } from "bun:test";
import { faultsOf, FILE, withDelivery, withSubscription } from "./parse-for-test.ts";

const D = "subscriptions[0].configuration";

test.each<[string, unknown, readonly string[]]>([
  [
    "an unknown entrypoint",
    withDelivery({ entrypointId: "webhok" }),
    [`${D}.entrypointId: no entrypoint is named "webhok"`],
  ],
  [
    "a type name that several entrypoints have",
    {
      ...withDelivery({}),
      entrypoints: [
        { type: "webhook", id: "b" },
        { type: "webhook", id: "c" },
      ],
    },
    [`${D}.entrypointId: "webhook" may mean any of "b", "c": name the one by its id`],
  ],
  [
    "a subscription id that is taken",
    {
      ...FILE,
      subscriptions: ["a", "a"].map((id) => ({
        id,
        configuration: { entrypointId: "webhook", callbackUrl: "http://h/" },
      })),
    },
    ['subscriptions[1].id: "a" is the id of another subscription already: subscriptions[0]'],
  ],
  [
    "a second subscription beside one without an id, at both",
    {
      ...FILE,
      subscriptions: [1, 2].map(() => ({
        configuration: { entrypointId: "webhook", callbackUrl: "http://h/" },
      })),
    },
    [0, 1].map(
      (index) =>
        `subscriptions[${index}].id: missing, because the entrypoint "webhook" has 2 subscriptions; the one that had no id so ` +
        'far keeps its place as "webhook"',
    ),
  ],
  [
    "a subscription without a callback URL",
    withSubscription({ configuration: { entrypointId: "webhook" } }),
    [`${D}.callbackUrl: missing, here or on the entrypoint "webhook"`],
  ],
  [
    "a callback URL of another scheme",
    withDelivery({ callbackUrl: "ftp://example.com/" }),
    [`${D}.callbackUrl: allowed: a URL that begins with http:// or https://`],
  ],
  [
    "user information in a callback URL",
    withDelivery({ callbackUrl: "https://user:hunter2hunter2@example.com/" }),
    [`${D}.callbackUrl: user and password in a URL are not allowed: use auth`],
  ],
  [
    "a header that belongs to the connection",
    withDelivery({ headers: [{ name: "Content-length", value: "1" }] }),
    [`${D}.headers[0].name: Content-length is set by Relay itself`],
  ],
  [
    "a line break in a header",
    withDelivery({ headers: [{ name: "X", value: "a\r\nX-Evil: b" }] }),
    [`${D}.headers[0].value: allowed: Latin-1 characters without line breaks and other control characters`],
  ],
  [
    "a channel outside of the endpoint's subjects",
    withDelivery({ channel: "invoices.>" }),
    [`${D}.channel: "invoices.>" is not within the subjects of the endpoint "orders": "orders.>"`],
  ],
  [
    "settings in both forms",
    withSubscription({
      configuration: {
        entrypointId: "webhook",
        method: "PUT",
        entrypointConfiguration: { callbackUrl: "http://h/" },
      },
    }),
    [`${D}.method: belongs under entrypointConfiguration, which the file uses`],
  ],
  [
    "an end before the beginning",
    withSubscription({
      startingAt: "2026-01-02T00:00:00Z",
      endingAt: "2026-01-01T00:00:00Z",
      configuration: { entrypointId: "webhook", callbackUrl: "http://h/" },
    }),
    ["subscriptions[0].endingAt: allowed: a time after startingAt"],
  ],
  [
    "a time that the calendar does not know",
    withSubscription({
      startingAt: "2026-13-02T00:00:00Z",
      configuration: { entrypointId: "webhook", callbackUrl: "http://h/" },
    }),
    ["subscriptions[0].startingAt: this time does not exist"],
  ],
])("checkSubscriptions() reports %s", async (_, file, expected) => {
  expect(await faultsOf(file)).toEqual([...expected]);
});
