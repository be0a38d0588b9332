// Where a subscription made by API wants to go and may not: what its own text says is refused before it is kept.

import { ownAddresses } from "#callback/own-addresses.ts";
import type { BodyFault } from "#config/parse-subscription.ts";
import { deliveryPath, deliverySettings } from "#config/references.ts";
import type { SubscriptionEntry } from "#config/schema.ts";
import { formatPath } from "#config/issue.ts";
import { createAddressCheck } from "#delivery/address.ts";
import { parseAddress } from "#delivery/ip-range.ts";
import type { Subscription } from "#delivery/subscription.ts";

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
