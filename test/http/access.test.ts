// Which token may do what, and where.

import { expect, test } from "bun:test";
import { areaOf, decideAccess, type Identity } from "#http/access.ts";

const places = { openPaths: new Set(["/livez"]), contextPaths: ["/webhook", "/hooks/eu"] };

test.each([
  ["GET", "/livez", "open"],
  ["HEAD", "/", "open"],
  ["POST", "/", "control"],
  ["POST", "/api/session", "open"],
  ["GET", "/api/session/", "control"],
  ["GET", "/api/subscriptions", "control"],
  ["GET", "/metrics", "control"],
  ["GET", "/nothing", "control"],
  ["GET", "/page/deliveries/4711", "open"],
  ["POST", "/page/deliveries", "control"],
  ["GET", "/pages", "control"],
  ["GET", "/webhook", "open"],
  ["GET", "/webhook/", "open"],
  ["POST", "/webhook/", "control"],
  ["GET", "/webhook//", "entrypoint"],
  ["GET", "/webhook/page/relay.js", "open"],
  ["DELETE", "/webhook/page", "control"],
  ["POST", "/hooks/eu/session", "open"],
  ["GET", "/webhook/sessions", "entrypoint"],
  ["POST", "/webhook/subscriptions", "entrypoint"],
  ["GET", "/webhooks/subscriptions", "control"],
  ["GET", "/hooks/eu/subscriptions", "entrypoint"],
  ["GET", "/hooks", "control"],
  ["GET", "//webhook", "control"],
] as const)("areaOf() takes %s %s for %s", (method, path, area) => {
  expect(areaOf({ method, path }, places)).toBe(area);
});

const jwt = (scopes: readonly string[], subject: string | null = "shop"): Identity => ({
  kind: "jwt",
  scopes,
  subject,
});

test.each<[string, Identity, "control" | "entrypoint", string, string]>([
  ["an operator", { kind: "operator" }, "control", "DELETE", "all"],
  ["relay:read", jwt(["relay:read"]), "control", "GET", "all"],
  ["relay:read", jwt(["relay:read"]), "control", "POST", "denied"],
  ["relay:read", jwt(["relay:read"]), "entrypoint", "GET", "all"],
  ["relay:read", jwt(["relay:read"]), "entrypoint", "PUT", "denied"],
  ["relay:write", jwt(["relay:write"]), "control", "POST", "all"],
  ["relay:write", jwt(["relay:write"]), "control", "GET", "denied"],
  ["relay:subscribe", jwt(["relay:subscribe"]), "control", "GET", "denied"],
  ["relay:subscribe", jwt(["relay:subscribe"]), "entrypoint", "GET", "shop"],
  ["relay:subscribe", jwt(["relay:subscribe"]), "entrypoint", "DELETE", "shop"],
  ["relay:subscribe without sub", jwt(["relay:subscribe"], null), "entrypoint", "GET", "denied"],
  ["no scope", jwt([]), "entrypoint", "GET", "denied"],
])("decideAccess() of %s, %# (%j)", (_, identity, area, method, expected) => {
  const decision = decideAccess(identity, { method, area });
  const seen =
    decision.kind === "denied"
      ? "denied"
      : decision.access.kind === "all"
        ? "all"
        : decision.access.application;
  expect(seen).toBe(expected);
});
