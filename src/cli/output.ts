// Where a command writes to.

export interface Output {
  /** Bytes are written as they are. */
  readonly stdout: (content: string | Uint8Array) => void;
  readonly stderr: (text: string) => void;
}

/** Why a command is stopped whose output nobody reads any more: that is no failure. */
export const NOBODY_READS = "EPIPE";
