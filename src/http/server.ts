// The routes that people and scripts see.

import { Hono } from "hono";
import type { Readiness } from "#runtime/runtime.ts";

export interface ServerOptions {
  readonly readiness: () => Readiness;
  /** The exposition in Prometheus' text format, with its content type. */
  readonly metrics: () => Promise<{ contentType: string; text: string }>;
}

export function createServer({ readiness, metrics }: ServerOptions): Hono {
  const server = new Hono();
  server.get("/livez", (context) => context.text("alive\n"));
  server.get("/readyz", (context) => {
    const { isReady, reasons, idle } = readiness();
    return context.json({ ready: isReady, reasons, idle }, isReady ? 200 : 503);
  });
  server.get("/metrics", async (context) => {
    const { contentType, text } = await metrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  server.notFound((context) =>
    context.body(JSON.stringify({ type: "about:blank", title: "Not Found", status: 404 }), 404, {
      "content-type": "application/problem+json",
    }),
  );
  return server;
}
