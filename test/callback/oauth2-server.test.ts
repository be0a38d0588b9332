// Access tokens from a real authorization server, which the callback asks whether they are good.

import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { decodeProtectedHeader, exportJWK } from "jose";

import type { AssertionSettings, CallbackAuth } from "#delivery/callback.ts";
import {
  type AuthorizationServer,
  type AuthorizationServerOptions,
  startAuthorizationServer,
} from "../support/authorization-server.ts";
import { eventually } from "../support/eventually.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { toTokenEndpoint } from "../support/subscription.ts";
import { toAssertion } from "./assertions.ts";
import { NEVER, openTestCallback, toMessage } from "./setup.ts";
import { TEST_CERT } from "./test-certificate.ts";

const OPTIONS = { mayResend: true, signal: NEVER };
/** As long as HS256 asks for, with what has to be encoded in a form. */
const SECRET = "s3cret+with blanks/&=%?:;~!*'()\"";

interface World extends AsyncDisposable {
  readonly server: AuthorizationServer;
  readonly receiver: Receiver;
  readonly scopes: (string | null)[];
}

/** A callback that answers 401 to whatever has no good token. */
async function startWorld(options: AuthorizationServerOptions): Promise<World> {
  const server = await startAuthorizationServer(options);
  const scopes: (string | null)[] = [];
  const receiver = await startReceiver(async (request) => {
    const scope = await server.check(request);
    scopes.push(scope);
    return scope === null ? 401 : 200;
  });
  return {
    server,
    receiver,
    scopes,
    [Symbol.asyncDispose]: async () => {
      await receiver[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function startSecretWorld(method = "client_secret_post", expiresInSeconds = 600): Promise<World> {
  return startWorld({
    client: { client_id: "relay app", client_secret: SECRET, token_endpoint_auth_method: method },
    expiresInSeconds,
  });
}

function toOauth2(
  { server }: World,
  changes: Partial<Extract<CallbackAuth, { kind: "oauth2" }>> = {},
): CallbackAuth {
  return {
    kind: "oauth2",
    ...toTokenEndpoint(server.tokenUrl),
    clientId: "relay app",
    clientSecret: SECRET,
    scopes: [],
    audience: null,
    clientAuthentication: "body",
    ...changes,
  };
}

describe("client credentials", () => {
  test.each(["body", "basic"] as const)(
    "send() brings a token got with id and secret as %s",
    async (clientAuthentication) => {
      const method = clientAuthentication === "body" ? "client_secret_post" : "client_secret_basic";
      await using world = await startSecretWorld(method);
      const { server, receiver } = world;
      await using callback = openTestCallback(receiver.url, {
        auth: toOauth2(world, { clientAuthentication }),
      });
      for (let index = 0; index < 3; index += 1) {
        expect((await callback.send(toMessage(), OPTIONS)).outcome).toEqual({
          kind: "delivered",
          status: 200,
        });
      }
      expect(server.requests).toBe(1);
      expect(server.grants[0]?.authorization === undefined).toBe(clientAuthentication === "body");
    },
  );

  test("send() asks for the scopes, joined by a blank", async () => {
    await using world = await startSecretWorld();
    const auth = toOauth2(world, { scopes: ["orders:write", "orders:read"] });
    await using callback = openTestCallback(world.receiver.url, { auth });
    await callback.send(toMessage(), OPTIONS);
    expect(world.server.grants[0]?.params["scope"]).toBe("orders:write orders:read");
    expect(world.scopes).toEqual(["orders:write orders:read"]);
  });

  test("send() with a wrong secret sends nothing, and tells the server's error without the secret", async () => {
    await using world = await startSecretWorld();
    const auth = toOauth2(world, { clientSecret: "another-secret-for-this" });
    await using callback = openTestCallback(world.receiver.url, { auth });
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange).toMatchObject({
      sent: false,
      response: null,
      outcome: { kind: "exception", code: "token" },
    });
    expect(exchange.outcome).toMatchObject({
      error: expect.stringMatching(
        /^Cannot get an access token from .*\/token: it answered 401 invalid_client/,
      ),
    });
    expect(JSON.stringify(exchange)).not.toContain("another-secret");
    expect(world.receiver.requests).toEqual([]);
  });

  test("send() answered with 401 after a revocation brings a new token, with the same message", async () => {
    await using world = await startSecretWorld();
    const { server, receiver } = world;
    await using callback = openTestCallback(receiver.url, { auth: toOauth2(world) });
    await callback.send(toMessage("first"), OPTIONS);
    await server.revoke();
    const exchange = await callback.send(toMessage("second"), OPTIONS);
    expect(exchange.outcome).toEqual({ kind: "delivered", status: 200 });
    expect(receiver.requests.map(({ body }) => body.toString())).toEqual(["first", "second", "second"]);
    expect(server.requests).toBe(2);
    await callback.send(toMessage("third"), OPTIONS);
    expect(server.requests).toBe(2);
  });

  test("send() under AT_MOST_ONCE lets a 401 stand, and the next message has a new token", async () => {
    await using world = await startSecretWorld();
    const { server, receiver } = world;
    await using callback = openTestCallback(receiver.url, { auth: toOauth2(world) });
    const once = { mayResend: false, signal: NEVER };
    expect(await callback.prepare(NEVER)).toBeNull();
    expect(server.requests).toBe(1);
    await server.revoke();
    expect((await callback.send(toMessage("first"), once)).outcome).toMatchObject({
      kind: "rejected",
      status: 401,
    });
    expect(server.requests).toBe(1);
    expect(await callback.prepare(NEVER)).toBeNull();
    expect((await callback.send(toMessage("second"), once)).outcome.kind).toBe("delivered");
    expect(server.requests).toBe(2);
    expect(receiver.requests.map(({ body }) => body.toString())).toEqual(["first", "second"]);
  });

  test("send() goes on delivering when tokens end", async () => {
    await using world = await startSecretWorld("client_secret_post", 1);
    const { server, receiver } = world;
    await using callback = openTestCallback(receiver.url, { auth: toOauth2(world) });
    await eventually(async () => {
      expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
      return server.grants.length === 3;
    });
  });
});

describe("assertions", () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const RSA: Partial<AssertionSettings> = {
    algorithm: "RS256",
    key: { kind: "rsa", pem: privateKey.export({ type: "pkcs8", format: "pem" }) },
  };

  async function toJwk() {
    return { ...(await exportJWK(publicKey)), kid: "key-1", use: "sig", alg: "RS256" };
  }

  async function startClientWorld(method: "private_key_jwt" | "client_secret_jwt"): Promise<World> {
    const algorithm = method === "private_key_jwt" ? "RS256" : "HS256";
    return startWorld({
      client: {
        client_id: "relay app",
        ...(method === "private_key_jwt" ? { jwks: { keys: [await toJwk()] } } : { client_secret: SECRET }),
        token_endpoint_auth_method: method,
        token_endpoint_auth_signing_alg: algorithm,
      },
      expiresInSeconds: 600,
    });
  }

  function toAuth(tokenUrl: URL, changes: Partial<AssertionSettings>): CallbackAuth {
    return { kind: "jwt-profile", ...toTokenEndpoint(tokenUrl), assertion: toAssertion(changes) };
  }

  test.each<[string, "private_key_jwt" | "client_secret_jwt", Partial<AssertionSettings>]>([
    ["RS256", "private_key_jwt", RSA],
    ["RS256 and the certificate chain", "private_key_jwt", { ...RSA, chain: [TEST_CERT, TEST_CERT] }],
    ["HS256", "client_secret_jwt", { key: { kind: "hmac", secret: Buffer.from(SECRET) } }],
  ])(
    "send() brings a token got with a JWT in place of the client's secret, by %s",
    async (_how, method, changes) => {
      await using world = await startClientWorld(method);
      const { server, receiver } = world;
      const auth = toAuth(server.tokenUrl, {
        issuer: "relay app",
        subject: "relay app",
        audience: server.issuer,
        ...changes,
      });
      await using callback = openTestCallback(receiver.url, { auth });
      for (const name of ["first", "second"]) {
        const exchange = await callback.send(toMessage(name), OPTIONS);
        expect(exchange.outcome).toEqual({ kind: "delivered", status: 200 });
        await server.revoke();
      }
      // The server takes no assertion twice.
      expect(server.grants.length).toBe(2);
      const params = server.grants[0]?.params ?? {};
      expect(params).toMatchObject({ grant_type: "client_credentials", client_id: "relay app" });
      const header = decodeProtectedHeader(params["client_assertion"] ?? "");
      expect(header.x5c?.length ?? 0).toBe(changes.chain?.length ?? 0);
    },
  );

  test("send() brings a token got with a JWT as the grant", async () => {
    await using world = await startWorld({
      client: { client_id: "unused", token_endpoint_auth_method: "none" },
      partner: { issuer: "partner.example", key: await toJwk() },
    });
    const { server, receiver } = world;
    const auth = toAuth(server.bearerUrl, {
      ...RSA,
      issuer: "partner.example",
      subject: "device-7",
      audience: server.bearerUrl.href,
      customClaims: [["tenant", "north"]],
    });
    await using callback = openTestCallback(receiver.url, { auth });
    expect((await callback.send(toMessage(), OPTIONS)).outcome).toEqual({ kind: "delivered", status: 200 });
    expect(server.grants[0]?.claims).toMatchObject({ sub: "device-7", tenant: "north" });
    expect(server.grants[0]?.params["client_id"]).toBeUndefined();
  });
});
