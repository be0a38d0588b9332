// Overrides of `logging` and `sampling` by entrypoint: temporary ones on this relay, and kept ones for all relays.

import type { RecordSettings } from "#delivery/record.ts";

interface Override extends RecordSettings {
  /** null: it is kept until somebody removes it. */
  readonly until: Date | null;
}

export interface Overrides {
  /** A temporary override wins over a kept one. null: neither; the config file applies. */
  readonly of: (entrypoint: string) => Override | null;
  set: (entrypoint: string, override: RecordSettings & { readonly until: Date }) => void;
  /** Removes the temporary override. */
  remove: (entrypoint: string) => void;
  /** Sets the kept override of all relays; null: removes it. */
  keep: (entrypoint: string, settings: RecordSettings | null) => void;
  /** Increases with each change. */
  readonly version: number;
  close: () => void;
}

/** Calls `onChanged` with null when the config file applies again. */
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
