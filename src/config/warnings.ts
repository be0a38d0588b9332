// What is allowed but probably not meant, or good to know.

import { formatPath, type Path } from "./issue.ts";
import { isOrdered } from "#delivery/subscription.ts";
import type { ConfigFile } from "./schema.ts";

/** `value` is the file as it is written: a default is nothing to warn about. */
export function listWarnings(file: ConfigFile, value: unknown): readonly string[] {
  return [
    ...file.endpoints.flatMap(({ producer }, index) => {
      if (producer === undefined || producer.create) return [];
      return (["maxAgeSeconds", "maxBytes", "replicas"] as const)
        .map((key) => ["endpoints", index, "producer", key])
        .filter((path) => isWritten(value, path))
        .map((path) => `${formatPath(path)} does nothing without "create": true`);
    }),
    ...file.entrypoints.flatMap(({ qos }, index) => {
      const limit = ["entrypoints", index, "configuration", "http", "maxConcurrentConnections"];
      const written = at(value, limit);
      return [
        ...(isOrdered(qos) && typeof written === "number" && written > 1
          ? [`${formatPath(limit)} is taken as 1 under ${qos}`]
          : []),
        ...(qos === "AT_MOST_ONCE"
          ? [
              `${formatPath(["entrypoints", index, "qos"])}: AT_MOST_ONCE holds for one relay only; ` +
                "where several share a subscription, the receiver must check webhook-id",
            ]
          : []),
      ];
    }),
  ];
}

function isWritten(value: unknown, path: Path): boolean {
  return at(value, path) !== undefined;
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}
