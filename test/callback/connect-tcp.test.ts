// Which of several addresses a connection comes to be with.

import { describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { once } from "node:events";

import { connectToFirst, createOpenedSockets, inTurn, type StepEnd } from "#callback/connect-tcp.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/nats-server.ts";
import { startTcpReceiver } from "../support/receiver.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { openFullBacklog } from "./setup.ts";

const NEXT_AFTER_MS = 250;
/** Timers of a busy machine. */
const LATE_MS = 1000;

/** The address that was connected to; the connection is closed. */
function addressOf(end: StepEnd): string | undefined {
  if (end.kind !== "connected") return undefined;
  const address = end.socket.remoteAddress;
  end.socket.destroy();
  return address;
}

describe("connectToFirst()", () => {
  test("connectToFirst() goes on to the next address at once where one refuses", async () => {
    await using receiver = await startTcpReceiver((socket) => socket.resume());
    using watch = startStopwatch();
    const sockets = createOpenedSockets();
    const refusing = Array.from({ length: 5 }, (_, index) => `127.0.0.${index + 2}`);
    const end = await connectToFirst([...refusing, "127.0.0.1"], { port: receiver.port, sockets });
    expect(addressOf(end)).toBe("127.0.0.1");
    watch.expectWithin(0, refusing.length * NEXT_AFTER_MS - 250);
  });

  test("connectToFirst() tries the next address beside one that does not answer", async () => {
    await using backlog = await openFullBacklog();
    const port = Number(backlog.url.port);
    const other = createServer((socket) => socket.on("error", () => {}).resume()).listen(port, "127.0.0.2");
    await once(other, "listening");
    using watch = startStopwatch();
    const opened: Socket[] = [];
    const sockets = createOpenedSockets();
    const own: typeof sockets.own = (socket) => {
      opened.push(socket);
      return sockets.own(socket);
    };
    const end = await connectToFirst(["127.0.0.1", "127.0.0.2"], {
      port,
      sockets: { ...sockets, own },
    });
    expect(opened.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    watch.expectWithin(NEXT_AFTER_MS - 2, NEXT_AFTER_MS + LATE_MS);
    expect(addressOf(end)).toBe("127.0.0.2");
    other.close();
  });

  test("connectToFirst() takes the first that answers, and no other", async () => {
    await using receiver = await startTcpReceiver((socket) => socket.resume());
    const sockets = createOpenedSockets();
    const end = await connectToFirst(["127.0.0.1", "127.0.0.1"], { port: receiver.port, sockets });
    expect(addressOf(end)).toBe("127.0.0.1");
    await eventually(() => receiver.openConnections === 0);
    expect(receiver.connections).toBe(1);
  });

  test("connectToFirst() tells the error of an address, once all have failed", async () => {
    const port = await freePort();
    const end = await connectToFirst(["127.0.0.2", "127.0.0.3"], { port, sockets: createOpenedSockets() });
    expect(end).toMatchObject({ kind: "failed", error: { code: "ECONNREFUSED" } });
  });

  test("connectToFirst() given up tries no further address", async () => {
    await using backlog = await openFullBacklog();
    const sockets = createOpenedSockets();
    const connecting = connectToFirst(["127.0.0.1", "127.0.0.1"], {
      port: Number(backlog.url.port),
      sockets,
    });
    sockets.destroyAll();
    expect(await connecting).toMatchObject({ kind: "failed" });
  });
});

test("inTurn() alternates IPv6 and IPv4, in the order given", () => {
  expect(inTurn(["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"])).toEqual([
    "::1",
    "1.1.1.1",
    "::2",
    "2.2.2.2",
    "::3",
  ]);
  expect(inTurn(["1.1.1.1", "::1", "2.2.2.2"])).toEqual(["1.1.1.1", "::1", "2.2.2.2"]);
  expect(inTurn([])).toEqual([]);
});
