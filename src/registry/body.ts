// Checks the body of a new subscription: it may not reach beyond its caller's rights, nor store a mask.

import { ownAddresses } from "#callback/own-addresses.ts";
import { formatPath } from "#schema/issue.ts";
import type { BodyFault } from "#config/parse-subscription.ts";
import {
  entrypointId,
  findEntrypoint,
  type SoundEntrypoint,
  deliveryPath,
  deliverySettings,
} from "#config/references.ts";
import { isSecret } from "#schema/secret.ts";
import type { SubscriptionEntry } from "#schema/file.ts";
import { createAddressCheck } from "#delivery/address.ts";
import { parseAddress } from "#delivery/ip-range.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { isObject } from "#lib/json.ts";

export interface WriteOptions {
  /** The only entrypoint allowed; null: any. */
  readonly entrypoint: string | null;
  /** The only application allowed; null: any. */
  readonly application: string | null;
  readonly signal: AbortSignal;
}

type Limits = Pick<WriteOptions, "application" | "entrypoint"> & {
  readonly entrypoints: readonly SoundEntrypoint[];
};

/** Fills in the implied values: the caller's only application, the entrypoint of the address, an id. */
export function complete(
  body: unknown,
  { application, entrypoint, id }: Pick<WriteOptions, "application" | "entrypoint"> & { id: string | null },
): unknown {
  if (!isObject(body)) return body;
  const { configuration } = body;
  return {
    ...(application === null ? {} : { application }),
    // A new one: for any other the address names the id.
    ...(id === null ? { id: crypto.randomUUID() } : {}),
    ...body,
    ...(entrypoint !== null && isObject(configuration)
      ? { configuration: { entrypointId: entrypoint, ...configuration } }
      : {}),
  };
}

/** undefined: there is none. */
export function statusIn(body: unknown): unknown {
  return isObject(body) ? body["status"] : undefined;
}

/** undefined: none, the default. */
export function withStatus(body: unknown, status: unknown): unknown {
  if (!isObject(body)) return body;
  const { status: _status, ...rest } = body;
  return status === undefined ? rest : { ...rest, status };
}

/** Null: there is none, or it is not text. */
export function applicationOf(body: unknown): string | null {
  const application = isObject(body) ? body["application"] : undefined;
  return typeof application === "string" ? application : null;
}

/** Checked first: other faults must not reveal the name or settings of another entrypoint. */
export function findForeign(
  body: unknown,
  { application, entrypoint, entrypoints }: Limits,
): BodyFault | null {
  if (!isObject(body)) return null;
  if (application !== null && body["application"] !== application) {
    return { path: "application", message: `allowed: ${application}` };
  }
  const configuration = body["configuration"];
  const name = isObject(configuration) ? configuration["entrypointId"] : undefined;
  if (entrypoint === null || typeof name !== "string") return null;
  const found = findEntrypoint(entrypoints, name);
  if (found.kind === "found" && entrypointId(found.value) === entrypoint) return null;
  return { path: "configuration.entrypointId", message: `allowed: ${entrypoint}` };
}

const MASKED = /^\*\*\*$|[?#]\*\*\*$/u;

/** Finds masks in place of secrets: stored, they would overwrite the secrets. */
export function findMasked(value: unknown, path = ""): readonly BodyFault[] {
  if (isSecret(value)) {
    const isMasked = value.source.kind === "inline" && MASKED.test(value.source.value);
    const message = "found the mask of a secret, allowed: the secret itself";
    return isMasked ? [{ path, message }] : [];
  }
  if (Array.isArray(value)) return value.flatMap((entry, index) => findMasked(entry, `${path}[${index}]`));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    findMasked(inner, path === "" ? key : `${path}.${key}`),
  );
}

/** Names are resolved at the call, not here: a name may resolve to another address by then. */
export function findDeniedTargets(
  { callback }: Subscription,
  { configuration }: SubscriptionEntry,
): readonly BodyFault[] {
  const isAllowed = createAddressCheck(callback.route.addresses, ownAddresses);
  const pathOf = (key: string, ...more: readonly string[]) =>
    formatPath(["configuration", ...deliveryPath(configuration, key), ...more]);
  const targets = [{ url: callback.url, path: pathOf("callbackUrl") }];
  if (callback.auth.kind === "oauth2") {
    targets.push({ url: callback.auth.tokenUrl, path: pathOf("auth", "oauth2", "endpoint") });
  }
  if (callback.auth.kind === "jwt-profile") {
    const { auth } = deliverySettings(configuration);
    const hasEndpoint = auth?.type === "jwtProfileOauth2" && auth.jwtProfileOauth2?.endpoint !== undefined;
    const key = hasEndpoint ? "endpoint" : "audience";
    targets.push({ url: callback.auth.tokenUrl, path: pathOf("auth", "jwtProfileOauth2", key) });
  }
  return targets.flatMap(({ url, path }) => {
    const host = url.hostname.replace(/^\[(.*)\]$/u, "$1");
    if (parseAddress(host) === null || isAllowed(host)) return [];
    return [
      { path, message: `the address ${host} is denied, unless callbacks.allow of the config file opens it` },
    ];
  });
}
