// Builds the request to a token endpoint: client credentials (RFC 6749, 4.4) or a JWT in one of its two uses (RFC 7523, 2).

import type { CallbackAuth } from "#delivery/callback.ts";
import { signAssertion } from "./assertion.ts";

export type TokenAuth = Extract<CallbackAuth, { kind: "oauth2" | "jwt-profile" }>;

export interface TokenRequest {
  /** Name and value alternating. */
  readonly headers: readonly string[];
  /** Form-encoded. */
  readonly body: string;
  /** Secrets that the answer might repeat. */
  readonly secrets: readonly string[];
}

type Fields = Record<string, string>;

const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CLIENT_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** Rejects if an assertion cannot be signed. Each request gets its own assertion. */
export async function toTokenRequest(auth: TokenAuth): Promise<TokenRequest> {
  const more = auth.parameters;
  if (auth.kind === "oauth2") return toClientRequest(auth);
  const { issuer, subject } = auth.assertion;
  const assertion = await signAssertion(auth.assertion, {
    nowMs: Date.now(),
    randomId: crypto.randomUUID(),
  });
  const fields: Fields =
    issuer === subject
      ? {
          grant_type: "client_credentials",
          client_id: issuer,
          client_assertion_type: CLIENT_JWT_BEARER,
          client_assertion: assertion,
        }
      : { grant_type: JWT_BEARER, assertion };
  return { headers: [], body: toForm(fields, more), secrets: [assertion, ...secretsIn(more)] };
}

function toClientRequest(auth: Extract<TokenAuth, { kind: "oauth2" }>): TokenRequest {
  const { clientId, clientSecret, scopes, audience, parameters } = auth;
  const fields: Fields = {
    grant_type: "client_credentials",
    ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    ...(audience === null ? {} : { audience }),
  };
  const id = toFormText(clientId);
  const secret = toFormText(clientSecret);
  // Encode both as form values before joining them (RFC 6749, 2.3.1).
  const basic = Buffer.from(`${id}:${secret}`, "latin1").toString("base64");
  const secrets = [clientSecret, secret, basic, ...secretsIn(parameters)];
  if (auth.clientAuthentication === "basic") {
    return { headers: ["Authorization", `Basic ${basic}`], body: toForm(fields, parameters), secrets };
  }
  const body = toForm({ ...fields, client_id: clientId, client_secret: clientSecret }, parameters);
  return { headers: [], body, secrets };
}

/** A name may occur several times: RFC 8707 sends `resource` so. */
function toForm(fields: Fields, parameters: TokenAuth["parameters"]): string {
  const form = new URLSearchParams(fields);
  for (const [name, value] of parameters) form.append(name, value);
  return form.toString();
}

function secretsIn(parameters: TokenAuth["parameters"]): readonly string[] {
  return parameters.flatMap(([, value]) => [value, toFormText(value)]);
}

function toFormText(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}
