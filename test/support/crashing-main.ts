// The program with a bug in it: `RELAY_CRASH` names where. Compiled by the crash test, since only a binary shows what happens.

import { createServer } from "node:net";

function crash(): never {
  throw new Error("planted");
}

const PLACES: Readonly<Record<string, () => void>> = {
  timer: () => void setTimeout(crash, 50),
  immediate: () => void setTimeout(() => setImmediate(crash), 50),
  rejection: () => void setTimeout(() => void Promise.reject(new Error("planted")), 50),
  network: () => {
    const server = createServer(crash).listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address !== null && typeof address === "object")
        void Bun.connect({ hostname: "127.0.0.1", port: address.port, socket: { data: () => undefined } });
    });
  },
};

PLACES[process.env["RELAY_CRASH"] ?? ""]?.();
await import("../../src/main.ts");
