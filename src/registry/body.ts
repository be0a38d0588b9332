// What a body that makes a subscription must not do, whatever is right about it: reach beyond its caller, or store a mask.

import { ownAddresses } from "#callback/own-addresses.ts";
import { formatPath } from "#config/issue.ts";
import type { BodyFault } from "#config/parse-subscription.ts";
import {
  entrypointId,
  findEntrypoint,
  type SoundEntrypoint,
  deliveryPath,
  deliverySettings,
} from "#config/references.ts";
import { isSecret } from "#config/schema-secret.ts";
import type { SubscriptionEntry } from "#config/schema.ts";
import { createAddressCheck } from "#delivery/address.ts";
import { parseAddress } from "#delivery/ip-range.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { isObject } from "#lib/json.ts";

export interface WriteOptions {
  /** The entrypoint that it must be of; null: any. */
  readonly entrypoint: string | null;
  /** The application that it must be of; null: any. */
  readonly application: string | null;
  readonly signal: AbortSignal;
}

type Limits = Pick<WriteOptions, "application" | "entrypoint"> & {
  readonly entrypoints: readonly SoundEntrypoint[];
};

/** With what goes without saying: the application of who may have no other, the entrypoint of the address, and an id. */
export function complete(
  body: unknown,
  { application, entrypoint, id }: Pick<WriteOptions, "application" | "entrypoint"> & { id: string | null },
): unknown {
  if (!isObject(body)) return body;
  const { configuration } = body;
  return {
    ...(application === null ? {} : { application }),
    // A new one, that is: the address names any other.
    ...(id === null ? { id: crypto.randomUUID() } : {}),
    ...body,
    ...(entrypoint !== null && isObject(configuration)
      ? { configuration: { entrypointId: entrypoint, ...configuration } }
      : {}),
  };
}

/** undefined: it says none. */
export function statusIn(body: unknown): unknown {
  return isObject(body) ? body["status"] : undefined;
}

/** undefined: none, which is the default. */
export function withStatus(body: unknown, status: unknown): unknown {
  if (!isObject(body)) return body;
  const { status: _status, ...rest } = body;
  return status === undefined ? rest : { ...rest, status };
}

/** Null: it says none, or no text. */
export function applicationOf(body: unknown): string | null {
  const application = isObject(body) ? body["application"] : undefined;
  return typeof application === "string" ? application : null;
}

/** Looked for before all else: what another entrypoint is called, or made of, must not show in other faults. */
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

/** Where an entry holds what is shown in place of a secret: stored, it would overwrite the secret. */
export function findMasked(value: unknown, path = ""): readonly BodyFault[] {
  if (isSecret(value)) {
    const isMasked = value.source.kind === "inline" && MASKED.test(value.source.value);
    const message = "found what is shown in place of a secret, allowed: the value itself";
    return isMasked ? [{ path, message }] : [];
  }
  if (Array.isArray(value)) return value.flatMap((entry, index) => findMasked(entry, `${path}[${index}]`));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    findMasked(inner, path === "" ? key : `${path}.${key}`),
  );
}

/** A name is looked up when it is called, not here: it may stand for another address by then. */
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
