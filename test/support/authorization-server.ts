// A real authorization server on the loopback: client credentials, and two grants by JWT.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type JWK, type JWTPayload, importJWK, jwtVerify } from "jose";
import { Provider, type StoredToken } from "oidc-provider";

import { headerOf, type ReceivedRequest } from "./receiver.ts";

export interface Grant {
  readonly params: Readonly<Record<string, string | undefined>>;
  /** The `Authorization` of the token request. */
  readonly authorization: string | undefined;
  /** What an assertion of the grant by JWT claims. */
  readonly claims: JWTPayload | null;
}

export interface AuthorizationServer extends AsyncDisposable {
  readonly issuer: string;
  readonly tokenUrl: URL;
  /** Takes an assertion by which nobody but its issuer signs in. */
  readonly bearerUrl: URL;
  readonly grants: readonly Grant[];
  /** How often a token was asked for. */
  readonly requests: number;
  /** No token issued so far is good any more. */
  readonly revoke: () => Promise<void>;
  /** The scope of the token that a request to a callback brings; null: none that is good. */
  readonly check: (request: ReceivedRequest) => Promise<string | null>;
}

export interface AuthorizationServerOptions {
  /** As the server's metadata say it: `client_id`, `client_secret`, `token_endpoint_auth_method`, `jwks`, … */
  readonly client: Readonly<Record<string, unknown>> & { readonly client_id: string };
  readonly expiresInSeconds?: number;
  /** Whose assertions are taken, for the subject `device-7`. */
  readonly partner?: { readonly issuer: string; readonly key: JWK };
}

const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const DOORKEEPER = { client_id: "doorkeeper", client_secret: "doorkeeper-secret-of-32-characters" };

export async function startAuthorizationServer({
  client,
  expiresInSeconds = 600,
  partner,
}: AuthorizationServerOptions): Promise<AuthorizationServer> {
  const grants: Grant[] = [];
  const issued: StoredToken[] = [];
  const claims = new WeakMap<object, JWTPayload>();
  let requests = 0;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const bearerUrl = new URL("/bearer", issuer);

  const defaults = { redirect_uris: [], response_types: [], scope: "orders:write orders:read" };
  const provider = new Provider(issuer, {
    clients: [
      { ...defaults, grant_types: ["client_credentials"], ...client },
      { ...defaults, ...DOORKEEPER, grant_types: [JWT_BEARER] },
    ],
    scopes: ["orders:write", "orders:read"],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    ttl: { ClientCredentials: expiresInSeconds },
    clockTolerance: 0,
  });
  provider.registerGrantType(
    JWT_BEARER,
    async (context) => {
      if (partner === undefined) throw new Error("No partner");
      const key = await importJWK(partner.key);
      const { payload } = await jwtVerify(context.oidc.params["assertion"] ?? "", key, {
        issuer: partner.issuer,
        subject: "device-7",
        audience: bearerUrl.href,
        requiredClaims: ["jti", "exp", "iat"],
      });
      const token = new provider.ClientCredentials({ client: context.oidc.client });
      context.oidc.entity("ClientCredentials", token);
      claims.set(context, payload);
      context.body = { access_token: await token.save(), token_type: "Bearer", expires_in: expiresInSeconds };
    },
    ["assertion"],
  );
  provider.on("grant.success", (context) => {
    const token = context.oidc.entities.ClientCredentials;
    if (token !== undefined) issued.push(token);
    grants.push({
      params: { ...context.oidc.params },
      authorization: context.headers.authorization,
      claims: claims.get(context) ?? null,
    });
  });
  const respond = provider.callback();
  server.on("request", (request, response) => {
    requests += 1;
    // The server knows no grant without a client: this door signs in for those who bring an assertion alone.
    if (request.url === bearerUrl.pathname) {
      request.url = "/token";
      request.headers.authorization = `Basic ${btoa(`${DOORKEEPER.client_id}:${DOORKEEPER.client_secret}`)}`;
    }
    void respond(request, response);
  });

  return {
    issuer,
    tokenUrl: new URL("/token", issuer),
    bearerUrl,
    grants,
    get requests() {
      return requests;
    },
    revoke: async () => {
      await Promise.all(issued.splice(0).map((token) => token.destroy()));
    },
    check: async (request) => {
      const [scheme, value = ""] = (headerOf(request, "authorization") ?? "").split(" ");
      if (scheme !== "Bearer") return null;
      const token = await provider.ClientCredentials.find(value);
      return token === undefined ? null : (token.scope ?? "");
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
