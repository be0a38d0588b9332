// A finding of `relay check --connect` about one part of the config.

export interface Finding {
  /** `error`: it cannot run. `warning`: it runs, but probably not as intended. */
  readonly level: "error" | "warning" | "note";
  /** The part, named as in the file: `subscription billing`, `endpoint dead-letters`, `nats`. */
  readonly about: string;
  readonly message: string;
  /** The remedy, or the name that was probably meant. */
  readonly suggestion?: string | null;
}
