// What must never be shown, as it grows: a secret stays hidden for as long as the relay runs.

import { createMask, type Mask } from "#lib/mask.ts";

export interface SecretMask {
  readonly mask: Mask;
  readonly hide: (secrets: readonly string[]) => void;
}

export function createSecretMask(initial: readonly string[]): SecretMask {
  const secrets = new Set(initial);
  let mask = createMask([...secrets]);
  return {
    mask: (text, end) => mask(text, end),
    hide(more) {
      const before = secrets.size;
      for (const secret of more) secrets.add(secret);
      if (secrets.size > before) mask = createMask([...secrets]);
    },
  };
}
