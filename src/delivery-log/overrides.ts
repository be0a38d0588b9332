// Overrides of what is recorded, by entrypoint: for a while on this relay, or kept for all relays until they are removed.

import type { RecordSettings } from "#delivery/record.ts";

interface Override extends RecordSettings {
  /** Null: it is kept. */
  readonly until: Date | null;
}

export interface Overrides {
  /** The one for a while goes before the one that is kept. null: what the file says holds. */
  readonly of: (entrypoint: string) => Override | null;
  set: (entrypoint: string, override: RecordSettings & { readonly until: Date }) => void;
  /** The one for a while. */
  remove: (entrypoint: string) => void;
  /** As all relays have it; null: none. */
  keep: (entrypoint: string, settings: RecordSettings | null) => void;
  /** Rises with each change. */
  readonly version: number;
  close: () => void;
}

/** `onChanged` is told null where what the file says holds again. */
export function createOverrides(
  onChanged: (entrypoint: string, override: Override | null) => void,
): Overrides {
  const brief = new Map<string, { readonly override: Override; readonly timer: Timer }>();
  const kept = new Map<string, RecordSettings>();
  let version = 0;

  function of(entrypoint: string): Override | null {
    const own = brief.get(entrypoint);
    if (own !== undefined) return own.override;
    const settings = kept.get(entrypoint);
    return settings === undefined ? null : { ...settings, until: null };
  }

  function tell(entrypoint: string): void {
    version += 1;
    onChanged(entrypoint, of(entrypoint));
  }

  function forget(entrypoint: string): boolean {
    clearTimeout(brief.get(entrypoint)?.timer);
    return brief.delete(entrypoint);
  }

  function remove(entrypoint: string): void {
    if (forget(entrypoint)) tell(entrypoint);
  }

  return {
    of,
    set(entrypoint, override) {
      forget(entrypoint);
      const timer = setTimeout(() => remove(entrypoint), override.until.getTime() - Date.now());
      brief.set(entrypoint, { override, timer });
      tell(entrypoint);
    },
    remove,
    keep(entrypoint, settings) {
      if (settings !== null) kept.set(entrypoint, settings);
      else if (!kept.delete(entrypoint)) return;
      tell(entrypoint);
    },
    get version() {
      return version;
    },
    close() {
      for (const entrypoint of brief.keys()) forget(entrypoint);
    },
  };
}
