// What there is to say to an operator about one part of a config.

export interface Finding {
  /** `error`: it cannot run so. `warning`: it runs, and probably not as meant. */
  readonly level: "error" | "warning" | "note";
  /** In the words of the file: `subscription billing`, `endpoint dead-letters`, `nats`. */
  readonly about: string;
  readonly message: string;
  /** What to do, or what was probably meant. */
  readonly suggestion?: string | null;
}
