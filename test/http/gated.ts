// A server with nothing behind its gate but an echo of what the gate said, on real listeners.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import { listenSocket, listenTcp } from "#http/listen.ts";
import type { ServerAuth, ServerTls } from "#config/resolve-server.ts";
import { type Auth, createAuth } from "#http/auth.ts";
import type { ServerEnv } from "#http/caller.ts";
import { createGate, type GateOptions } from "#http/gate.ts";
import { createSessions } from "#http/session.ts";
import { createServerSlots } from "#http/slots.ts";
import { createSignIn } from "#http/sign-in.ts";
import { createLogger, type Logger } from "#lib/logger.ts";

export interface Gated extends AsyncDisposable {
  /** `http://127.0.0.1:port`, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  readonly socket: string;
}

export interface GatedOptions extends Partial<GateOptions> {
  readonly tls?: ServerTls | null;
}

export const SECRET = "a-secret-of-the-test";
export const TOKEN: ServerAuth = { kind: "token", value: SECRET };
export const BASIC: ServerAuth = { kind: "basic", username: "operator", password: SECRET };

/** Log lines go to `lines`. */
export function testLogger(lines: string[] = []): Logger {
  return createLogger({
    level: "debug",
    format: "json",
    write: (line) => void lines.push(line),
    now: () => new Date(),
  });
}

export function testAuth(settings: ServerAuth): Auth {
  return createAuth(settings, { logger: testLogger() });
}

export async function openGated(auth: Auth, { tls = null, ...options }: GatedOptions = {}): Promise<Gated> {
  const directory = await mkdtemp(join(tmpdir(), "relay-gate-"));
  const socket = join(directory, "relay.sock");
  const { sessions = createSessions() } = options;
  const server = new Hono<ServerEnv>();
  server.use(
    createGate({
      auth,
      sessions,
      slots: createServerSlots(),
      listen: { host: "127.0.0.1", isLoopback: true },
      openPaths: new Set(["/livez", "/"]),
      contextPaths: ["/webhook"],
      ...options,
    }),
  );
  server.route("/api/session", createSignIn({ auth, sessions }));
  server.all("*", async (context) =>
    context.json({ access: context.get("access"), length: (await context.req.arrayBuffer()).byteLength }),
  );
  const tcp = await listenTcp({ host: "127.0.0.1", port: 0 }, server.fetch, { tls });
  const unix = await listenSocket(socket, server.fetch);
  return {
    url: tcp.address.replace(/\/$/u, ""),
    port: Number(new URL(tcp.address).port),
    socket,
    async [Symbol.asyncDispose]() {
      await Promise.all([tcp.close(0), unix.close(0)]);
      await rm(directory, { recursive: true });
    },
  };
}

export function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}

export function basic(username: string, password: string): { readonly authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` };
}
