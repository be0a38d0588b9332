// The schema of `system.proxy` and an entrypoint's `proxy`: the way to callbacks.

import * as v from "valibot";
import { choice, flag, host, integer, list, object, text } from "./parts.ts";
import { referable, secret } from "./secret.ts";

const type = choice("Kind of proxy", ["HTTP", "SOCKS4", "SOCKS5"]);
const hostName = host("Host of the proxy");
const port = integer("Port of the proxy", { min: 1, max: 65_535 });
const username = v.optional(referable("User name for the proxy"));
const password = v.optional(secret("Password for the proxy"));

export const systemSchema = v.pipe(
  object({
    proxy: v.optional(
      v.pipe(
        object({
          type: v.optional(type, "HTTP"),
          host: hostName,
          port,
          username,
          password,
          noProxy: v.optional(
            list(
              text("A host, `.domain`, address or range", {
                pattern: /^[A-Za-z0-9.*:/_[\]-]{1,253}$/u,
                allowed: "a host name, .domain, address, range or *",
              }),
              { description: "Hosts that are reached directly" },
            ),
            [],
          ),
        }),
        v.description('The proxy "configured at system level"'),
        v.metadata({ fallback: "from `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`" }),
      ),
    ),
  }),
  v.description("Settings of the host"),
);

export const proxySchema = v.pipe(
  object({
    enabled: v.optional(flag("Call through a proxy"), false),
    useSystemProxy: v.optional(flag("Take the proxy configured at system level"), false),
    type: v.optional(type),
    host: v.optional(hostName),
    port: v.optional(port),
    username,
    password,
  }),
  v.description("Proxy to the callbacks: none, the system's, or one of its own"),
);
