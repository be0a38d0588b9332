// Temporary overrides of what is recorded, in memory, by entrypoint, each with an end.

import type { RecordSettings } from "#delivery/record.ts";

interface Override extends RecordSettings {
  readonly until: Date;
}

export interface Overrides {
  /** null: what the file says holds. */
  readonly of: (entrypoint: string) => Override | null;
  set: (entrypoint: string, override: Override) => void;
  /** False: there was none. */
  remove: (entrypoint: string) => boolean;
  /** Rises with each change. */
  readonly version: number;
  close: () => void;
}

/** `onChanged` is told null where what the file says holds again. */
export function createOverrides(
  onChanged: (entrypoint: string, override: Override | null) => void,
): Overrides {
  const kept = new Map<string, { readonly override: Override; readonly timer: Timer }>();
  let version = 0;

  function forget(entrypoint: string, timer: Timer): void {
    clearTimeout(timer);
    kept.delete(entrypoint);
    version += 1;
  }

  function remove(entrypoint: string): boolean {
    const found = kept.get(entrypoint);
    if (found === undefined) return false;
    forget(entrypoint, found.timer);
    onChanged(entrypoint, null);
    return true;
  }

  return {
    of: (entrypoint) => kept.get(entrypoint)?.override ?? null,
    set(entrypoint, override) {
      const former = kept.get(entrypoint);
      if (former !== undefined) forget(entrypoint, former.timer);
      const timer = setTimeout(() => remove(entrypoint), override.until.getTime() - Date.now());
      kept.set(entrypoint, { override, timer });
      version += 1;
      onChanged(entrypoint, override);
    },
    remove,
    get version() {
      return version;
    },
    close() {
      for (const [entrypoint, { timer }] of kept) forget(entrypoint, timer);
    },
  };
}
