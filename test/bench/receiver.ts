// The receiver of the benchmark, in a process of its own: counts what comes and how long it was on its way.
//
// Argument: how many milliseconds it works on each. A body starts with the time of its publishing, in milliseconds since 1970. `GET /<count>` is answered when so many have come since
// the last answer.

const callbackMs = Number(process.argv[2] ?? 0);
const latencies: number[] = [];
let firstAt = 0;
let lastAt = 0;
let wanted = Number.POSITIVE_INFINITY;
let onWanted: () => void = () => undefined;

async function take(request: Request): Promise<Response> {
  const body = await request.text();
  lastAt = performance.timeOrigin + performance.now();
  if (latencies.length === 0) firstAt = lastAt;
  latencies.push(lastAt - Number.parseFloat(body));
  if (latencies.length >= wanted) onWanted();
  if (callbackMs > 0) await Bun.sleep(callbackMs);
  return new Response();
}

async function answerAfter(count: number): Promise<Response> {
  if (latencies.length < count) {
    await new Promise<void>((resolve) => {
      wanted = count;
      onWanted = resolve;
    });
  }
  wanted = Number.POSITIVE_INFINITY;
  const sorted = latencies.splice(0).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  return Response.json({ firstAt, lastAt, p50Ms: at(0.5), p99Ms: at(0.99) });
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  routes: {
    "/": { POST: take },
    "/:count": { GET: (request) => answerAfter(Number(request.params.count)) },
  },
});
console.log(server.url.href);
