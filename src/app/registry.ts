// The subscriptions of this relay as the API needs them: those of the file, and those made by API.

import { toShown } from "#config/shown.ts";
import type { Config } from "#config/resolve.ts";
import { toSampleMessage } from "#delivery/sample.ts";
import type { Registered, Registry } from "#http/registry.ts";
import { RelayError } from "#lib/errors.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import type { Runtime } from "#runtime/runtime.ts";
import type { ApiSubscriptions } from "./api-subscriptions.ts";

export interface RegistryOptions {
  readonly runtime: Runtime;
  readonly api: ApiSubscriptions;
  readonly config: () => Config;
  readonly mask: (text: string) => string;
  /** What is left of a subscription that was deleted: its consumer, its state. Never rejects. */
  readonly clearAway: (running: RunningSubscription) => Promise<void>;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { runtime, api, config, mask, clearAway } = options;

  function toRegistered(running: RunningSubscription): Registered {
    const { id } = running.subscription;
    const made = api.known.get(id);
    if (made !== undefined) {
      return { running, origin: "api", revision: made.revision, definition: made.definition };
    }
    const { file } = config().origin;
    const index = config().subscriptions.findIndex((subscription) => subscription.id === id);
    const entry = file.subscriptions[index];
    const definition = entry === undefined ? null : toShown(entry, mask);
    return { running, origin: "file", revision: null, definition };
  }

  function get(id: string): RunningSubscription {
    const running = runtime.find(id);
    if (running === null) throw new RelayError("unavailable", `There is no subscription ${id}`);
    return running;
  }

  return {
    list: () => runtime.subscriptions.map(toRegistered),
    find(id) {
      const running = runtime.find(id);
      return running === null ? null : toRegistered(running);
    },
    create: api.create,
    replace: api.replace,
    async remove(id, condition) {
      const running = runtime.find(id);
      const outcome = await api.remove(id, condition);
      if (outcome.kind === "written" && running !== null) await clearAway(running);
      return outcome;
    },
    command: (id, command) => void get(id).command(command),
    seek: (id, start) => get(id).seek(start),
    test: (id, body) => {
      const running = get(id);
      return running.test(toSampleMessage(running.subscription.source, { body, now: new Date() }));
    },
  };
}
