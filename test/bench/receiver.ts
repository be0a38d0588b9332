// The receiver of the benchmark, in a process of its own: counts what comes and how long it was on its way.
//
// A body starts with the time of its publishing, in milliseconds since 1970. `GET /` answers with what came so far, `DELETE /` begins anew and
// answers with how many came before.

const latencies: number[] = [];
let firstAt = 0;
let lastAt = 0;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  routes: {
    "/": {
      GET: () => {
        latencies.sort((a, b) => a - b);
        const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
        return Response.json({
          count: latencies.length,
          firstAt,
          lastAt,
          p50Ms: at(0.5),
          p99Ms: at(0.99),
        });
      },
      DELETE: () => {
        const count = latencies.length;
        latencies.length = 0;
        firstAt = 0;
        return Response.json({ count });
      },
      POST: async (request) => {
        const body = await request.text();
        lastAt = performance.timeOrigin + performance.now();
        if (firstAt === 0) firstAt = lastAt;
        latencies.push(lastAt - Number.parseFloat(body));
        return new Response();
      },
    },
  },
});
console.log(server.url.href);
