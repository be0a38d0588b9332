// Checks `nats` beyond its schema: ports, keys, and files that do not fit together.

import { decodeJwt } from "jose";
import type { Fault, Path } from "#schema/issue.ts";
import type { Secret } from "#schema/secret.ts";
import type { SoundFile } from "#schema/validate.ts";
import type { CallbackScope } from "./check-callback.ts";
import { checkTlsFiles } from "./check-tls.ts";
import type { ConfigContext } from "./secrets.ts";

interface NatsScope extends CallbackScope {
  readonly context: ConfigContext;
}

type Auth = NonNullable<NonNullable<SoundFile["nats"]>["auth"]>;

export function checkNats({ nats }: SoundFile, { context, valueOf }: NatsScope): Fault[] {
  const servers = (nats?.servers ?? []).flatMap((server, index) => {
    const port = Number(/:(\d+)\/?$/u.exec(server ?? "")?.[1] ?? 4222);
    if (port >= 1 && port <= 65_535) return [];
    return [{ path: ["nats", "servers", index], message: "allowed: a port from 1 to 65535" }];
  });
  const path = ["nats", "tls"];
  return [
    ...servers,
    ...checkAuth(nats?.auth, valueOf),
    ...checkPair(nats?.tls, path),
    ...checkTlsFiles(nats?.tls ?? {}, { path, context }),
  ];
}

function checkPair(tls: object | undefined, path: Path): Fault[] {
  if (tls === undefined || "certFile" in tls === "keyFile" in tls) return [];
  const [there, missing] = "certFile" in tls ? ["certFile", "keyFile"] : ["keyFile", "certFile"];
  return [{ path: [...path, missing], message: `missing, because ${there} is there` }];
}

function checkAuth(auth: Auth | undefined, valueOf: CallbackScope["valueOf"]): Fault[] {
  const path = ["nats", "auth"];
  const known = (secret: Secret | undefined) => (secret === undefined ? undefined : valueOf(secret));
  switch (auth?.type) {
    case "user":
      return [
        ...checkWord(known(auth.username), [...path, "username"]),
        ...checkWord(known(auth.password), [...path, "password"]),
      ];
    case "token":
      return checkWord(known(auth.value), [...path, "value"]);
    case "nkey": {
      const seed = known(auth.seed);
      if (seed === undefined || isUserSeed(seed.trim())) return [];
      const message = "allowed: the seed of a user, 58 characters from SU, with its checksum";
      return [{ path: [...path, "seed"], message }];
    }
    case "creds":
      return checkCreds(known(auth.content), [...path, "content"]);
    case "none":
    case undefined:
      return [];
  }
}

function checkWord(word: string | undefined, path: Path): Fault[] {
  if (word === undefined || /^[^\p{Cc}]{1,4096}$/u.test(word)) return [];
  return [{ path, message: "allowed: 1 to 4096 printable characters" }];
}

const JWT = /-+BEGIN NATS USER JWT-+\s+(\S+)\s+-+END NATS USER JWT-+/u;
const SEED = /-+BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END USER NKEY SEED-+/u;

/** A credentials file as `nsc generate creds` writes it. */
function checkCreds(content: string | undefined, path: Path): Fault[] {
  if (content === undefined) return [];
  const [jwt, seed] = [JWT.exec(content)?.[1], SEED.exec(content)?.[1]];
  const missing = jwt === undefined ? "user JWT" : seed === undefined ? "nkey seed" : null;
  if (missing !== null) {
    const message = `the file has no ${missing}, allowed: a .creds file with the JWT and the seed of a user`;
    return [{ path, message, suggestion: "nsc generate creds writes one" }];
  }
  if (!isJwt(jwt ?? "")) return [{ path, message: "the user JWT in the file cannot be read" }];
  return isUserSeed(seed ?? "") ? [] : [{ path, message: "the nkey seed in the file is not that of a user" }];
}

function isJwt(text: string): boolean {
  try {
    return decodeJwt(text).sub !== undefined;
  } catch {
    return false;
  }
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Base32 of a prefix of two bytes, a seed of 32 bytes and a little-endian CRC-16 (github.com/nats-io/nkeys). */
function isUserSeed(text: string): boolean {
  if (!/^SU[A-Z2-7]{56}$/u.test(text)) return false;
  const bits = Array.from(text, (letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const bytes = Array.from({ length: 36 }, (_, index) =>
    Number.parseInt(bits.slice(index * 8, index * 8 + 8), 2),
  );
  const [low = 0, high = 0] = bytes.slice(34);
  return checksumOf(bytes.slice(0, 34)) === low + high * 256;
}

/** CRC-16/XMODEM. */
function checksumOf(bytes: readonly number[]): number {
  let sum = 0;
  for (const byte of bytes) {
    sum ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum & 0x80_00 ? (sum << 1) ^ 0x10_21 : sum << 1) & 0xff_ff;
  }
  return sum;
}
