// What is said to a SOCKS proxy, byte by byte, and how its answers are read.

import { describe, expect, test } from "bun:test";

import type { HandshakeStep } from "#callback/proxy-handshake.ts";
import { startSocks4, startSocks5 } from "#callback/socks.ts";
import type { Proxy } from "#delivery/callback.ts";

const PROXY: Proxy = { type: "socks5", host: "proxy.test", port: 1080, username: null, password: null };
const LOGIN: Proxy = { ...PROXY, username: "me", password: "pw" };
const NAME = { host: "a.test", port: 443 };

function withoutSpaces(hexadecimal: string): string {
  return hexadecimal.replaceAll(" ", "");
}

/** The bytes that are said, in hexadecimal, and the step after `answer`. */
function say(step: HandshakeStep, answer: readonly number[] = []): { said: string; next: HandshakeStep } {
  if (step.kind !== "say") throw new Error(`Nothing is said: ${step.kind}`);
  return { said: Buffer.from(step.bytes).toString("hex"), next: step.hear(Buffer.from(answer)) };
}

describe("startSocks4()", () => {
  test.each([
    ["an address", { host: "127.0.0.1", port: 80 }, "04010050 7f000001 6d65 00"],
    ["a name", NAME, "040101bb 00000001 6d65 00 612e74657374 00"],
    ["an IPv6 address", { host: "::1", port: 80 }, "04010050 00000001 6d65 00 3a3a31 00"],
  ])("startSocks4() asks for %s", (_what, destination, bytes) => {
    expect(say(startSocks4(LOGIN, destination)).said).toBe(withoutSpaces(bytes));
  });

  test("startSocks4() waits for the whole answer", () => {
    const step = startSocks4(PROXY, NAME);
    expect(say(step, [0]).next).toEqual({ kind: "more" });
    expect(say(step, [0, 90, 0, 0, 0, 0, 0]).next).toEqual({ kind: "more" });
    expect(say(step, [0, 90, 0, 0, 0, 0, 0, 0, 7]).next).toEqual({ kind: "done", used: 8 });
  });

  test("startSocks4() says no user name that would end early", () => {
    expect(startSocks4({ ...LOGIN, username: "me\x00a.test" }, NAME).kind).toBe("refused");
  });
});

describe("startSocks5()", () => {
  test.each([
    ["an address", { host: "127.0.0.1", port: 80 }, "05010001 7f000001 0050"],
    ["a name", NAME, "05010003 06612e74657374 01bb"],
    ["an IPv6 address", { host: "::1", port: 80 }, `05010004 ${"00".repeat(15)}01 0050`],
  ])("startSocks5() asks for %s", (_what, destination, bytes) => {
    const { said, next } = say(startSocks5(PROXY, destination), [5, 0]);
    expect(said).toBe("050100");
    expect(say(next).said).toBe(withoutSpaces(bytes));
  });

  test("startSocks5() gives user name and password where it is asked for them", () => {
    const { said, next } = say(startSocks5(LOGIN, NAME), [5, 2]);
    expect(said).toBe("05020002");
    const login = say(next, [1, 0]);
    expect(login.said).toBe(withoutSpaces("0102 6d65 02 7077"));
    expect(say(login.next).said).toBe("0501000306612e7465737401bb");
    expect(say(startSocks5(LOGIN, NAME), [5, 0xff]).next).toEqual({
      kind: "refused",
      reason: "does not support user name and password",
    });
  });

  test.each<[string, readonly number[], HandshakeStep]>([
    ["an IPv4 address", [5, 0, 0, 1, 1, 2, 3, 4, 0, 80], { kind: "done", used: 10 }],
    ["a name", [5, 0, 0, 3, 1, 65, 0, 80], { kind: "done", used: 8 }],
    [
      "an IPv6 address and more",
      [5, 0, 0, 4, ...Array.from({ length: 20 }, () => 0)],
      { kind: "done", used: 22 },
    ],
    ["the first half of an address", [5, 0, 0, 1, 1, 2], { kind: "more" }],
    [
      "a kind of address that there is not",
      [5, 0, 0, 2, 1],
      { kind: "refused", reason: "does not speak SOCKS 5" },
    ],
    ["a refusal", [5, 2], { kind: "refused", reason: "does not allow the connection" }],
    ["a refusal of its own", [5, 77], { kind: "refused", reason: "refused the connection with code 77" }],
  ])("startSocks5() reads an answer with %s", (_what, answer, expected) => {
    const { next } = say(startSocks5(PROXY, NAME), [5, 0]);
    expect(say(next, answer).next).toEqual(expected);
  });

  test("startSocks5() does not cut what is too long to be said", () => {
    const long = "x".repeat(256);
    expect(startSocks5({ ...LOGIN, username: long }, NAME).kind).toBe("refused");
    expect(startSocks5({ ...LOGIN, password: long }, NAME).kind).toBe("refused");
    expect(startSocks5(PROXY, { host: long, port: 80 }).kind).toBe("refused");
  });
});
