// A TCP connection to a host: to each of its addresses, the next when one fails or is slow; the first that is up wins.

import { lookup } from "node:dns";
import { connect, isIPv6, type Socket } from "node:net";

import { CLOSED } from "./exception.ts";
import type { OpenedSockets } from "./opened-sockets.ts";

export interface Destination {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

export type TcpEnd =
  | { readonly kind: "connected"; readonly socket: Socket }
  /** None of its addresses may be dialled; `address` is the first of them. */
  | { readonly kind: "denied"; readonly address: string }
  | { readonly kind: "failed"; readonly error: unknown };

/** "Connection Attempt Delay" of RFC 8305. */
const NEXT_AFTER_MS = 250;
const MAX_ADDRESSES = 10;

/**
 * Looks the name up each time, as the system does (`/etc/hosts` too), and dials the very addresses that `isAllowed` has
 * seen. Ends when the sockets are destroyed, or soon after.
 */
export async function connectToHost(
  { host, port }: Destination,
  {
    isAllowed,
    sockets,
  }: { readonly isAllowed: (address: string) => boolean; readonly sockets: OpenedSockets },
): Promise<TcpEnd> {
  const found = await lookUp(host);
  if (!Array.isArray(found)) return { kind: "failed", error: found };
  if (sockets.areDestroyed) return { kind: "failed", error: CLOSED };
  const allowed = found.filter(isAllowed);
  const [denied = ""] = found;
  if (allowed.length === 0) return { kind: "denied", address: denied };
  return connectToFirst(inTurn(allowed).slice(0, MAX_ADDRESSES), { port, sockets });
}

/** The addresses, or the error. */
function lookUp(host: string): Promise<readonly string[] | Error> {
  return new Promise((resolve) => {
    lookup(host, { all: true }, (error, found) => {
      resolve(error ?? (found.length === 0 ? NO_ADDRESS : found.map(({ address }) => address)));
    });
  });
}

const NO_ADDRESS = Object.assign(new Error("No address"), { code: "ENODATA" });

/** In the order of the resolver, but so that IPv6 and IPv4 take turns (RFC 8305, 4): one of them may lead nowhere. */
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

/** `addresses`: not names, one at least. */
export function connectToFirst(
  addresses: readonly string[],
  { port, sockets }: { readonly port: number; readonly sockets: OpenedSockets },
): Promise<TcpEnd> {
  return new Promise((resolve) => {
    const waiting = [...addresses];
    const trying = new Set<Socket>();
    const errors: unknown[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;

    const end = (result: TcpEnd) => {
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
      errors.push(error);
      if (sockets.areDestroyed || (waiting.length === 0 && trying.size === 0)) {
        end({ kind: "failed", error: tellingOf(errors) });
        return;
      }
      startNext();
    };
    const startNext = () => {
      clearTimeout(timer);
      const host = waiting.shift();
      if (host === undefined) return;
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

/** A host that has IPv6 addresses, called from one that has none, is not unreachable for that reason. */
const NO_WAY: ReadonlySet<unknown> = new Set(["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"]);

function tellingOf(errors: readonly unknown[]): unknown {
  const hasWay = (error: unknown) => !(error instanceof Error && "code" in error && NO_WAY.has(error.code));
  return errors.find(hasWay) ?? errors[0];
}
