// Callbacks, token endpoints and proxies that repeat what they were told in whatever they answer, and keep it.

import { freePort } from "./nats-server.ts";
import {
  headerOf,
  type ReceivedRequest,
  type Receiver,
  startReceiver,
  startTcpReceiver,
} from "./receiver.ts";

export interface LeakyReceivers extends AsyncDisposable {
  /** `/<status>/…` answers so, `/reset/…` breaks the connection. */
  readonly callback: Receiver;
  /** `/<form>/…` refuses with the secret in that form; `/grant` gives the access token, `/junk` no JSON. */
  readonly tokens: Receiver;
  /** Answers 407 to everything. */
  readonly proxyPort: number;
  readonly deadPort: number;
  /** All that came, as text. */
  readonly received: () => string;
}

const FORMS: Readonly<Record<string, (secret: string) => string>> = {
  plain: (secret) => secret,
  percent: encodeURIComponent,
  base64: (secret) => Buffer.from(secret).toString("base64"),
  base64url: (secret) => Buffer.from(secret).toString("base64url"),
  json: (secret) => JSON.stringify(secret),
};

export const LEAKY_FORMS: readonly string[] = Object.keys(FORMS);

export async function startLeakyReceivers({ accessToken }: { accessToken: string }): Promise<LeakyReceivers> {
  await using stack = new AsyncDisposableStack();
  const heardByProxy: string[] = [];
  const callback = stack.use(
    await startReceiver((request, _index, response) => {
      const [, how] = request.path.split("/");
      if (how !== "reset") return toEcho(Number(how), request);
      response.socket?.resetAndDestroy();
      return null;
    }),
  );
  const tokens = stack.use(
    await startReceiver((request) => {
      const [, form = ""] = request.path.split(/[/?]/);
      if (form === "grant") {
        return { status: 200, body: JSON.stringify({ access_token: accessToken, expires_in: 600 }) };
      }
      if (form === "junk") return { status: 200, body: `access_token=${accessToken}` };
      const secret = FORMS[form]?.(secretOf(request)) ?? request.body.toString();
      const [error, description] = form === "code" ? [secretOf(request), "x"] : ["invalid_client", secret];
      return { status: 400, body: JSON.stringify({ error, error_description: `Not ${description}` }) };
    }),
  );
  const proxy = stack.use(
    await startTcpReceiver((socket) => {
      socket.on("data", (chunk: Buffer) => {
        heardByProxy.push(chunk.toString("latin1"));
        const login = /^proxy-authorization: (.*)$/im.exec(chunk.toString("latin1"))?.[1] ?? "";
        const head = `HTTP/1.1 407 ${login}\r\nProxy-Authenticate: Basic realm="${login}"\r\n`;
        socket.end(`${head}Content-Length: 0\r\n\r\n`);
      });
    }),
  );
  const deadPort = await freePort();
  const owned = stack.move();
  return {
    callback,
    tokens,
    proxyPort: proxy.port,
    deadPort,
    received: () => [...callback.requests, ...tokens.requests].map(toText).concat(heardByProxy).join("\n"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function toEcho(status: number, request: ReceivedRequest) {
  const text = toText(request);
  const header = request.headers.map(([name, value]) => `${name}=${value}`).join(" ");
  return { status, headers: { "X-Echo": header.slice(0, 4000) }, body: text };
}

function toText({ method, path, headers, body }: ReceivedRequest): string {
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  return [`${method} ${path}`, ...lines, "", body.toString()].join("\n");
}

/** The client's, or the assertion. */
function secretOf(request: ReceivedRequest): string {
  const form = new URLSearchParams(request.body.toString());
  const basic = headerOf(request, "authorization")?.replace(/^Basic /, "");
  return form.get("client_secret") ?? form.get("assertion") ?? basic ?? "";
}
