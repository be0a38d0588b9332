// Help that is asked for a command that is none: a fault, as that command would be.

interface AskedFor {
  /** As they were typed. */
  readonly args: readonly string[];
  readonly commands: readonly { readonly name: () => string }[];
  readonly error: (message: string) => never;
}

/** For `addHelpText`, in front of every help: adds nothing, and throws a CommanderError for a word that is no command. */
export function refuseUnknownCommand({ command }: { readonly command: AskedFor }): string {
  const [first, second] = command.args;
  const word = first === "help" ? second : first;
  if (word === undefined || word.startsWith("-") || command.commands.length === 0) return "";
  if (command.commands.some((known) => known.name() === word)) return "";
  return command.error(`error: unknown command '${word}'`);
}
