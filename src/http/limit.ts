// Limits a list to what its caller may see: one entrypoint below a context path, and one application for its tenants.

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Subscription } from "#delivery/subscription.ts";
import type { Registry } from "#registry/registry.ts";
import type { ServerContext } from "./caller.ts";
import type { Problem } from "./problem.ts";

/** Null: any. */
export interface Limit {
  readonly entrypoint: string | null;
  readonly application: string | null;
}

interface Owned {
  readonly entrypoint: string | null;
  readonly application: string | null;
}

/** `entrypoint`: that of the address; null: it stands below `/api`. */
export function limitOf(context: ServerContext, entrypoint: string | null): Limit {
  const access = context.get("access");
  return { entrypoint, application: access.kind === "application" ? access.application : null };
}

export function isWithinLimit({ entrypoint, application }: Limit, owned: Owned): boolean {
  if (entrypoint !== null && owned.entrypoint !== entrypoint) return false;
  return application === null || owned.application === application;
}

/**
 * Whether this caller may see an answer of a callback, and so what is masked in it: whoever does not know the secrets that
 * are masked could guess them. `subscription`: null where it is no more.
 */
export function maySeeAnswers({ application }: Limit, subscription: Subscription | null): boolean {
  return application === null || (subscription?.callback.ownsSecrets ?? false);
}

export interface CursorSeal {
  readonly seal: (cursor: string, application: string) => string;
  /** null: it was sealed for nobody, or for another application, or by another run of a relay. */
  readonly open: (sealed: string, application: string) => string | null;
}

/** A cursor that says where others have something is sealed for tenants. The key is new with each run. */
export function createCursorSeal(): CursorSeal {
  const key = randomBytes(32);
  return {
    seal(cursor, application) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(application));
      return Buffer.concat([iv, cipher.update(cursor), cipher.final(), cipher.getAuthTag()]).toString(
        "base64url",
      );
    },
    open(sealed, application) {
      const bytes = Buffer.from(sealed, "base64url");
      const end = bytes.length - TAG_BYTES;
      if (end < IV_BYTES) return null;
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, IV_BYTES));
      decipher.setAAD(Buffer.from(application)).setAuthTag(bytes.subarray(end));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, end)), decipher.final()]).toString();
      } catch {
        return null;
      }
    },
  };
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** The filters of a list that name something by its id. */
type IdFilters = Readonly<
  Partial<Record<"subscription" | "entrypoint" | "application", readonly string[] | undefined>>
>;

interface KnownIds {
  readonly registry: () => Pick<Registry, "list">;
  readonly entrypoints: readonly { readonly id: string }[];
  readonly limit: Limit;
  /** Whether something is kept that has this value. */
  readonly isKept: (name: keyof IdFilters, value: string) => Promise<boolean>;
}

const NAMES = {
  subscription: "the id of a subscription, or one that",
  entrypoint: "the id of an entrypoint, or one that",
  application: "the name of an application that has subscriptions, or one that",
} as const;

/** A filter by an id that nothing has matches nothing, ever. Ids out of the limit are ids that nothing has. */
export async function findUnknownId(
  given: IdFilters,
  what: string,
  { registry, entrypoints, limit, isKept }: KnownIds,
): Promise<Problem | null> {
  const visible = registry()
    .list()
    .map(({ subscription }) => subscription)
    .filter((subscription) => isWithinLimit(limit, subscription));
  const known = {
    subscription: new Set(visible.map(({ id }) => id)),
    application: new Set([limit.application, ...visible.map(({ application }) => application)]),
    entrypoint: new Set(limit.entrypoint === null ? entrypoints.map(({ id }) => id) : [limit.entrypoint]),
  };
  for (const name of ["subscription", "entrypoint", "application"] as const) {
    for (const value of given[name] ?? []) {
      if (known[name].has(value) || (await isKept(name, value))) continue;
      const message = `found ${JSON.stringify(value)}, allowed: ${NAMES[name]} ${what} has`;
      return {
        status: 400,
        detail: "The request has faults",
        errors: [{ path: name, message }],
      };
    }
  }
  return null;
}
