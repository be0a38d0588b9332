// The receiver of the demo: accepts most messages, fails some once, rejects some for good.

interface DemoMessage {
  readonly subject: string;
  readonly body: string;
}

interface DemoReceiver {
  readonly url: string;
  close: () => Promise<void>;
}

type Manner = "accept" | "fail-once" | "reject";

/** The n-th message (from 1): of ten, two are invoices, one of which fails once, and eight orders: one fails once, one is rejected. */
export function demoMessage(n: number): DemoMessage {
  const subject = n % 5 === 4 ? "shop.invoices" : "shop.orders";
  return { subject, body: JSON.stringify({ number: n, manner: mannerOf(n % 10) }) };
}

function mannerOf(digit: number): Manner {
  if (digit === 7) return "reject";
  return digit === 2 || digit === 9 ? "fail-once" : "accept";
}

export function startDemoReceiver(): DemoReceiver {
  /** Messages that failed and have not come again yet. */
  const failed = new Set<string>();

  async function answer(request: Request): Promise<Response> {
    const id = request.headers.get("webhook-id") ?? "";
    const { manner } = (await request.json()) as { manner: Manner };
    switch (manner) {
      case "accept":
        return new Response("thank you");
      case "reject":
        return new Response("I do not know this order", { status: 422 });
      case "fail-once":
        if (failed.delete(id)) return new Response("better now");
        failed.add(id);
        return new Response("too busy", { status: 503 });
    }
  }

  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  return { url: server.url.href, close: () => server.stop(true) };
}
