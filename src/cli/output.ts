// Where a command writes to.

export interface Output {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}
