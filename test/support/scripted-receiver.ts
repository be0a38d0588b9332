// A receiver that answers each message as the message itself says, and keeps what it got.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A status, or what a broken callback does: `reset` the connection, or `hang` without an answer. */
export type Answer = number | "reset" | "hang";

/** The body of a message for it. The last answer is repeated. */
export interface Script {
  readonly name: string;
  readonly answers?: readonly Answer[];
}

export interface GotRequest {
  readonly path: string;
  readonly method: string;
  readonly name: string;
  readonly webhookId: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly at: number;
}

export interface ScriptedReceiver extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly GotRequest[];
  /** The names of the messages that came to `path`, in order. */
  names: (path: string) => readonly string[];
  /** From now on everything is answered with 200. */
  heal: () => void;
  readonly inFlight: number;
}

interface ScriptedReceiverOptions {
  /** How long it works on each request. */
  readonly delayMs?: number;
  /** It does not answer the second request of any message before that. */
  readonly secondAnswer?: Promise<void> | undefined;
}

export async function startScriptedReceiver({
  delayMs = 0,
  secondAnswer = Promise.resolve(),
}: ScriptedReceiverOptions = {}): Promise<ScriptedReceiver> {
  const requests: GotRequest[] = [];
  const attempts = new Map<string, number>();
  let isHealed = false;
  let inFlight = 0;

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    inFlight += 1;
    response.once("close", () => (inFlight -= 1));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const { name, answers = [200] } = JSON.parse(body) as Script;
    const path = request.url ?? "";
    const webhookId = String(request.headers["webhook-id"]);
    requests.push({
      path,
      method: request.method ?? "",
      name,
      webhookId,
      headers: request.headers,
      body,
      at: performance.now(),
    });
    const key = `${path} ${webhookId}`;
    const attempt = attempts.get(key) ?? 0;
    attempts.set(key, attempt + 1);
    const answer = isHealed ? 200 : (answers[attempt] ?? answers.at(-1) ?? 200);
    if (delayMs > 0) await Bun.sleep(delayMs);
    if (attempt === 1) await secondAnswer;
    if (answer === "hang") return;
    if (answer === "reset") {
      request.socket.resetAndDestroy();
      return;
    }
    response.writeHead(answer).end();
  }

  const server = createServer((request, response) => {
    receive(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    names: (path) => requests.filter((request) => request.path === path).map(({ name }) => name),
    heal: () => (isHealed = true),
    get inFlight() {
      return inFlight;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
