// What is recorded of an entrypoint, as an operator set it for all relays: kept in the bucket until it is removed.

import { parseRecordSettings, type RecordSettingsEntry } from "#config/resolve-record.ts";
import type { RecordSettings } from "#delivery/record.ts";
import { RelayError } from "#lib/errors.ts";
import { parseStored } from "#delivery/status.ts";
import type { Bucket } from "#bucket/bucket.ts";

export interface KeptLogging {
  /** True: it is stored; false: it holds on this relay, which stores it later. Rejects with a RelayError. */
  readonly set: (entrypoint: string, settings: RecordSettingsEntry) => Promise<boolean>;
  readonly remove: (entrypoint: string) => Promise<boolean>;
  readonly close: () => void;
}

interface KeptLoggingOptions {
  readonly bucket: Pick<Bucket, "get" | "update" | "onChange">;
  /** Null: there are none any more. Called for what is kept at the start too. */
  readonly onChanged: (entrypoint: string, settings: RecordSettings | null) => void;
}

const PREFIX = "logging.";

export function createKeptLogging({ bucket, onChanged }: KeptLoggingOptions): KeptLogging {
  const forget = bucket.onChange((key) => {
    if (key.startsWith(PREFIX)) onChanged(key.slice(PREFIX.length), read(key));
  });

  /** What cannot be read is as if it was not there. */
  function read(key: string): RecordSettings | null {
    return parseRecordSettings(parseStored(bucket.get(key)?.value ?? "null"));
  }

  async function write(entrypoint: string, value: string | null): Promise<boolean> {
    const key = PREFIX + entrypoint;
    const result = await bucket.update([key], (values) =>
      (values.get(key) ?? null) === value ? new Map() : new Map([[key, value]]),
    );
    if (result.kind === "refused")
      throw new RelayError("bucket-refused", `Cannot keep the logging of ${entrypoint}: ${result.reason}`);
    return result.kind !== "waiting";
  }

  return {
    set: (entrypoint, settings) => write(entrypoint, JSON.stringify(settings)),
    remove: (entrypoint) => write(entrypoint, null),
    close: forget,
  };
}
