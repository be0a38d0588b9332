// A relay whose callers are told apart by their tokens: operators, and the tenants of an application each.

import { createKey, signToken, startAuthority } from "../http/authority.ts";
import { bearer } from "../http/gated.ts";
import { type Api, openApi } from "./api.ts";
import { type ConfigOptions, testConfig } from "./config.ts";

type OpenApiOptions = NonNullable<Parameters<typeof openApi>[1]>;

interface Tenants extends AsyncDisposable {
  /** Signs in by tokens, encrypts the bucket, and allows callbacks on this host. */
  readonly config: (options: ConfigOptions) => ReturnType<typeof testConfig>;
  readonly as: (
    url: string,
    caller: { readonly sub: string; readonly scope: string },
    options?: Omit<OpenApiOptions, "headers">,
  ) => Promise<Api>;
}

export const OPERATOR = { sub: "operator", scope: "relay:read relay:write" } as const;
export const tenantOf = (sub: string) => ({ sub, scope: "relay:subscribe" });

export async function startTenants(): Promise<Tenants> {
  const key = await createKey("RS256");
  const authority = await startAuthority(key);
  const { issuer, audience } = authority.settings;
  const auth = { type: "jwt", jwksUri: `${authority.server.url.origin}/keys`, issuer, audience };
  return {
    config: (options) =>
      testConfig({
        ...options,
        more: {
          callbacks: { allow: ["127.0.0.0/8"] },
          state: { key: Buffer.alloc(32, 1).toString("base64") },
          server: { listen: "127.0.0.1:0", auth },
          ...options.more,
        },
      }),
    as: async (url, { sub, scope }, options = {}) =>
      openApi(url, { ...options, headers: bearer(await signToken(key, { sub, scope, exp: Date.now() })) }),
    [Symbol.asyncDispose]: () => authority[Symbol.asyncDispose](),
  };
}
