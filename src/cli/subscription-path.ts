// The path of a subscription in the API. It stands alone because several files of commands build on it.

import { RelayError } from "#lib/errors.ts";

/** Throws a RelayError `usage` for what no subscription can be called. */
export function subscriptionPath(id: string | undefined, verb?: string): string {
  if (id === undefined || !/^[\w-]{1,128}$/u.test(id)) {
    throw new RelayError(
      "usage",
      "An id has letters, digits, - and _ only: relay subscriptions list shows them",
    );
  }
  const path = `api/subscriptions/${id}`;
  return verb === undefined ? path : `${path}/${verb}`;
}
