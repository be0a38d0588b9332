// A `.creds` file as `nsc generate creds` writes it, of a user that no server knows.

import { UnsecuredJWT } from "jose";

export const USER_SEED = "SUAO4TBMSGDGBV47UHBHV2JEWTB336NJ2DGJMAKPJBKLQTSNMXYV2FWGCY";

/** `expiresAt`: of its JWT, which else has no end. */
export function toCreds(
  subject: string,
  { seed = USER_SEED, expiresAt }: { seed?: string; expiresAt?: Date } = {},
): string {
  const jwt = new UnsecuredJWT({ sub: subject });
  const text = (expiresAt === undefined ? jwt : jwt.setExpirationTime(expiresAt)).encode();
  return `-----BEGIN NATS USER JWT-----
${text}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`;
}
