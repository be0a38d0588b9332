// What the tests use of a package that brings no types.

declare module "oidc-provider" {
  import type { IncomingMessage, ServerResponse } from "node:http";

  interface StoredToken {
    readonly scope?: string;
    readonly destroy: () => Promise<void>;
    readonly save: () => Promise<string>;
  }

  interface TokenContext {
    readonly headers: IncomingMessage["headers"];
    readonly oidc: {
      readonly client: object;
      readonly params: Readonly<Record<string, string | undefined>>;
      readonly entity: (name: string, value: object) => void;
      readonly entities: { readonly ClientCredentials?: StoredToken };
    };
    body: unknown;
  }

  export class Provider {
    constructor(issuer: string, configuration: object);
    readonly ClientCredentials: {
      new (properties: { client: object; scope?: string }): StoredToken;
      readonly find: (value: string) => Promise<StoredToken | undefined>;
    };
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
    on(event: "grant.success", listener: (context: TokenContext) => void): this;
    registerGrantType(
      name: string,
      handler: (context: TokenContext) => Promise<void>,
      parameters: readonly string[],
    ): void;
  }
}
