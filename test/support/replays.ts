// Replays of a relay under test, asked for by its API.

import { expect } from "bun:test";
import type { ReplayView } from "#wire/replay.ts";
import { type Api, openApi } from "./api.ts";
import { eventually } from "./eventually.ts";
import { countLetters, type LettersSetup } from "./letters.ts";
import type { RelayProcess } from "./relay.ts";

export interface ReplaysApi {
  readonly call: Api;
  /** Asks for one; with its id. */
  start: (body?: object) => Promise<string>;
  show: (id: string) => Promise<ReplayView>;
  command: (id: string, command: "pause" | "resume" | "stop") => Promise<number>;
  /** Waits for its end. */
  ended: (id: string) => Promise<ReplayView>;
  /** Waits until so many were delivered. */
  delivered: (id: string, count: number) => Promise<void>;
}

export async function openReplays(relay: RelayProcess): Promise<ReplaysApi> {
  const call = await openApi(await relay.url());
  const show = async (id: string) => (await call("GET", `/api/replays/${id}`)).body as ReplayView;
  return {
    call,
    show,
    async start(body = { filter: {} }) {
      const answer = await call("POST", "/api/replays", { body });
      expect(answer.status).toBe(202);
      expect(answer.headers.get("location")).toBe(`/api/replays/${answer.body.id}`);
      return answer.body.id as string;
    },
    command: async (id, command) => (await call("POST", `/api/replays/${id}/${command}`)).status,
    ended: (id) =>
      eventually(
        async () => {
          const { status, body } = await call("GET", `/api/replays/${id}`);
          return status === 200 && body.endedAt !== null && (body as ReplayView);
        },
        { withinMs: 20_000, what: "the end of the replay" },
      ),
    async delivered(id, count) {
      await eventually(async () => (await show(id)).delivered >= count, { what: `${count} were delivered` });
    },
  };
}

/** Publishes the bodies, and waits until each is a dead letter in DLQ: the receiver must reject them. */
export async function makeLetters(setup: LettersSetup, bodies: readonly string[]): Promise<void> {
  const before = await countLetters(setup, "DLQ");
  for (const body of bodies) await setup.publish(body);
  await eventually(async () => (await countLetters(setup, "DLQ")) === before + bodies.length, {
    what: `${bodies.length} more letters`,
  });
  await eventually(() => setup.isThrough());
}

export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index + 1));
}
