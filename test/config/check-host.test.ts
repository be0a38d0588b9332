// Faults of nats, server, state and callbacks.

import { expect, test } from "bun:test";
import { faultsOf, FILE } from "./parse-for-test.ts";

test.each<[string, unknown, readonly string[]]>([
  [
    "a listener for everybody without authentication",
    { ...FILE, server: { listen: "0.0.0.0:8080" } },
    [
      "server.auth.type: type none is allowed on a loopback address only, and server.listen is 0.0.0.0:8080; " +
        "allowed here: token, basic, jwt",
    ],
  ],
  [
    "a certificate without its key",
    { ...FILE, nats: { tls: { certFile: "cert.pem" } } },
    [
      "nats.tls.keyFile: missing, for certFile is there",
      "nats.tls.certFile: cannot read /home/relay/cert.pem: no such file",
    ],
  ],
  [
    "a range that is none",
    { ...FILE, callbacks: { deny: ["10.0.0.0/33"] } },
    ["callbacks.deny[0]: allowed: an IP address or a range such as 10.0.0.0/8"],
  ],
  [
    "a key for the bucket that is too short",
    { ...FILE, state: { key: "c2hvcnQ=" } },
    ["state.key: allowed: 32 bytes in base64"],
  ],
])("checkHost() reports %s", (_, file, expected) => {
  expect(faultsOf(file)).toEqual([...expected]);
});
