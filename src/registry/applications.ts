// Applications for the API: which have subscriptions on this relay, and which are paused.

import type { Holds } from "#runtime/holds.ts";
import type { Runtime } from "#runtime/runtime.ts";
import type { StateChange } from "#runtime/states.ts";
import type { Application } from "#wire/subscription.ts";

export interface Applications {
  readonly list: () => readonly Application[];
  /** Resolve when the change is stored, or waits to be stored. Reject with a RelayError. */
  readonly pause: (application: string) => Promise<Application>;
  readonly resume: (application: string) => Promise<Application>;
}

interface ApplicationsOptions {
  readonly holds: Holds;
  readonly runtime: Pick<Runtime, "subscriptions">;
  /** Called for each subscription that is paused or resumed with its application. */
  readonly onChanged: (change: StateChange) => void;
}

export function createApplications({ holds, runtime, onChanged }: ApplicationsOptions): Applications {
  function list(): readonly Application[] {
    const counts = new Map<string, number>();
    for (const { subscription } of runtime.subscriptions) {
      const { application } = subscription;
      if (application !== null) counts.set(application, (counts.get(application) ?? 0) + 1);
    }
    const held = new Map(holds.applications().map(({ application, since }) => [application, since]));
    return [...new Set([...counts.keys(), ...held.keys()])].map((application) => {
      const since = held.get(application) ?? null;
      return {
        application,
        status: since === null ? "ACCEPTED" : "PAUSED",
        pausedAt: since?.toISOString() ?? null,
        subscriptions: counts.get(application) ?? 0,
        notStored: holds.notStored(application),
      };
    });
  }

  async function command(application: string, reason: "pause" | "resume"): Promise<Application> {
    const before = runtime.subscriptions
      .filter(({ subscription }) => subscription.application === application)
      .map((running) => ({ running, from: running.status() }));
    await holds[reason](application);
    for (const { running, from } of before) {
      const to = running.status();
      const subscription = running.subscription.id;
      if (from.status !== to.status) onChanged({ subscription, from, to, reason });
    }
    const found = list().find((one) => one.application === application);
    const none = { status: "ACCEPTED", pausedAt: null, subscriptions: 0 } as const;
    return found ?? { application, ...none, notStored: holds.notStored(application) };
  }

  return {
    list,
    pause: (application) => command(application, "pause"),
    resume: (application) => command(application, "resume"),
  };
}
