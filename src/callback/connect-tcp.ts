// Opens a TCP connection to a host: tries its addresses, the next one when one fails or is slow (RFC 8305); the first to connect wins.

import { connect, isIPv6, type Socket } from "node:net";

import { findDescriptorFault, isOutOfDescriptors, toDescriptorFault } from "#lib/descriptors.ts";
import { CLOSED } from "./exception.ts";

/** The sockets of one dial, so that all can be closed at once. */
export interface OpenedSockets {
  /**
   * Adds a socket, or closes it if the dial is over. Its `error` listener stays: a late error without a listener would end
   * the process.
   */
  readonly own: <T extends Socket>(socket: T) => T;
  /** The dial failed or was given up. */
  readonly destroyAll: () => void;
  /** Aborts when the sockets are destroyed. */
  readonly signal: AbortSignal;
}

export function createOpenedSockets(): OpenedSockets {
  const sockets = new Set<Socket>();
  const over = new AbortController();

  return {
    own(socket) {
      socket.on("error", () => {});
      socket.once("close", () => sockets.delete(socket));
      if (over.signal.aborted) socket.destroy();
      else sockets.add(socket);
      return socket;
    },
    destroyAll() {
      over.abort();
      for (const socket of sockets) socket.destroy();
    },
    signal: over.signal,
  };
}

/** The result of one step of a dial. */
export type StepEnd =
  | { readonly kind: "connected"; readonly socket: Socket }
  | { readonly kind: "failed"; readonly error: unknown };

/** "Connection Attempt Delay" of RFC 8305. */
const NEXT_AFTER_MS = 250;
const MAX_ADDRESSES = 10;

/** Keeps the order but alternates IPv6 and IPv4 (RFC 8305, 4): one family may be unreachable. */
export function inTurn(addresses: readonly string[]): string[] {
  const [first = ""] = addresses;
  const isLikeFirst = (address: string) => isIPv6(address) === isIPv6(first);
  const like = addresses.filter(isLikeFirst);
  const unlike = addresses.filter((address) => !isLikeFirst(address));
  return addresses.flatMap((_address, index) => [
    ...like.slice(index, index + 1),
    ...unlike.slice(index, index + 1),
  ]);
}

/** `addresses`: IP addresses, at least one. Ends when the sockets are destroyed, or soon after. */
export function connectToFirst(
  addresses: readonly string[],
  { port, sockets }: { readonly port: number; readonly sockets: OpenedSockets },
): Promise<StepEnd> {
  return new Promise((resolve) => {
    const waiting = inTurn(addresses).slice(0, MAX_ADDRESSES);
    const trying = new Set<Socket>();
    const errors: unknown[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;

    const end = (result: StepEnd) => {
      clearTimeout(timer);
      waiting.length = 0;
      for (const socket of trying) socket.destroy();
      trying.clear();
      resolve(result);
    };
    const succeed = (socket: Socket) => {
      if (!trying.delete(socket)) return;
      end({ kind: "connected", socket });
    };
    const fail = (socket: Socket, error: unknown) => {
      if (!trying.delete(socket)) return;
      errors.push(toDescriptorFault(error));
      if (sockets.signal.aborted || (waiting.length === 0 && trying.size === 0)) {
        end({ kind: "failed", error: tellingOf(errors) });
        return;
      }
      startNext();
    };
    const startNext = () => {
      clearTimeout(timer);
      const host = waiting.shift();
      if (host === undefined) return;
      const fault = findDescriptorFault();
      if (fault !== null) {
        errors.push(fault);
        waiting.length = 0;
        if (trying.size === 0) end({ kind: "failed", error: fault });
        return;
      }
      const socket = sockets.own(connect({ host, port }));
      trying.add(socket);
      socket.once("connect", () => succeed(socket));
      socket.once("error", (error) => fail(socket, error));
      socket.once("close", () => fail(socket, CLOSED));
      if (waiting.length > 0) timer = setTimeout(startNext, NEXT_AFTER_MS);
    };
    startNext();
  });
}

/** A host with IPv6 addresses is not unreachable because this host has no IPv6. */
const NO_WAY: ReadonlySet<unknown> = new Set(["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/** An address that could not be tried might have answered. */
function tellingOf(errors: readonly unknown[]): unknown {
  const hasWay = (error: unknown) => !(error instanceof Error && "code" in error && NO_WAY.has(error.code));
  return errors.find(isOutOfDescriptors) ?? errors.find(hasWay) ?? errors[0];
}
