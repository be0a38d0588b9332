// Lists the commands with their options, for the manual page and the completions of shells.

/** What the commands of the program tell of themselves. */
export interface Described {
  readonly name: () => string;
  readonly description: () => string;
  readonly usage: () => string;
  readonly options: readonly DescribedOption[];
  readonly commands: readonly Described[];
}

interface DescribedOption {
  readonly flags: string;
  readonly short?: string | undefined;
  readonly long?: string | undefined;
  readonly description: string;
}

export interface ReferenceEntry {
  /** Without the program: "subscriptions list"; "": the program itself. */
  readonly path: string;
  readonly description: string;
  readonly usage: string;
  readonly options: readonly EntryOption[];
  readonly commands: readonly { readonly name: string; readonly description: string }[];
}

export interface EntryOption {
  /** As the help shows them: "-c, --config <file>". */
  readonly flags: string;
  /** With their dashes. */
  readonly names: readonly string[];
  readonly takesFile: boolean;
  readonly description: string;
}

/** A command comes before its own commands. */
export function toEntries(program: Described): readonly ReferenceEntry[] {
  return listEntries(program, "");
}

function listEntries(command: Described, path: string): readonly ReferenceEntry[] {
  const { description, usage, options, commands } = command;
  const entry: ReferenceEntry = {
    path,
    description: description.call(command),
    usage: usage.call(command),
    options: options.map(toOption),
    commands: commands
      .filter((own) => own.name() !== "complete")
      .map((own) => ({ name: own.name(), description: own.description() })),
  };
  const inner = commands.flatMap((own) => listEntries(own, `${path} ${own.name()}`.trim()));
  return [entry, ...inner];
}

function toOption({ flags, short, long, description }: DescribedOption): EntryOption {
  const names = [short, long].filter((name) => name !== undefined);
  return { flags, names, takesFile: /<(?:file|path)>/.test(flags), description };
}
