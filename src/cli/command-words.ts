// Rearranges the words of a command line for commander, and refuses help for an unknown command.

const BEFORE_COMMAND = ["-c", "--config", "--url", "--host", "--hosts"];

/** `relay help a b` is `relay a b --help`, and `relay --config file a b` is `relay a b --config file`. */
export function toCommandWords(argv: readonly string[]): string[] {
  const [program = "", script = "", ...words] = argv;
  const count = countOptionsFirst(words);
  const options = words.slice(0, count);
  const [first, ...rest] = words.slice(count);
  if (first === undefined) return [...argv];
  if (first === "help" && rest.length > 0) return [program, script, ...rest, "--help"];
  const end = rest.indexOf("--");
  const operands = end === -1 ? [] : rest.splice(end);
  return [program, script, first, ...rest, ...options, ...operands];
}

/** How many words at the beginning are options of a command, with their values. */
function countOptionsFirst(words: readonly string[]): number {
  let count = 0;
  for (let word = words[0]; word !== undefined; word = words[count]) {
    if (BEFORE_COMMAND.includes(word)) count += 2;
    else if (BEFORE_COMMAND.some((option) => option.startsWith("--") && word.startsWith(`${option}=`)))
      count += 1;
    else break;
  }
  return count;
}

interface AskedFor {
  /** As they were typed. */
  readonly args: readonly string[];
  readonly commands: readonly { readonly name: () => string; readonly aliases: () => readonly string[] }[];
  readonly error: (message: string) => never;
}

/** For `addHelpText`, in front of every help: adds nothing, and throws a CommanderError for a word that is no command. */
export function refuseUnknownCommand({ command }: { readonly command: AskedFor }): string {
  const [first, second] = command.args;
  const word = first === "help" ? second : first;
  if (word === undefined || word.startsWith("-") || command.commands.length === 0) return "";
  if (command.commands.some((known) => known.name() === word || known.aliases().includes(word))) return "";
  return command.error(`error: unknown command '${word}'`);
}
