// Makes the shell completions for bash, zsh and fish.

import type { ReferenceEntry } from "./reference.ts";

/** The longest path first: the first that fits is the right one. */
function byDepth(entries: readonly ReferenceEntry[]): readonly ReferenceEntry[] {
  const depth = ({ path }: ReferenceEntry) => (path === "" ? 0 : path.split(" ").length);
  return [...entries].sort((left, right) => depth(right) - depth(left));
}

function wordsOf({ commands, options }: ReferenceEntry): string {
  return [...commands.map(({ name }) => name), ...options.flatMap(({ names }) => names), "--help"].join(" ");
}

function fileOptions(entries: readonly ReferenceEntry[]): readonly string[] {
  const options = entries.flatMap((entry) => entry.options);
  return [...new Set(options.filter(({ takesFile }) => takesFile).flatMap(({ names }) => names))];
}

/** Of what was typed so far, which ends with a space. */
function toPattern({ path }: ReferenceEntry): string {
  return path === "" ? '" "' : `"${path} "*`;
}

export function toBash(entries: readonly ReferenceEntry[]): string {
  const cases = byDepth(entries).map((entry) => `    ${toPattern(entry)}) words="${wordsOf(entry)}" ;;`);
  return `# Completions of relay for bash.
_relay() {
  local current=\${COMP_WORDS[COMP_CWORD]} typed= words= word
  case \${COMP_WORDS[COMP_CWORD - 1]} in
    ${fileOptions(entries).join(" | ")})
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] || typed+="\${typed:+ }$word"
  done
  case "$typed " in
${cases.join("\n")}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o bashdefault -o default -F _relay relay
`;
}

export function toZsh(entries: readonly ReferenceEntry[]): string {
  const cases = byDepth(entries).map((entry) => `  ${toPattern(entry)}) compadd -- ${wordsOf(entry)} ;;`);
  return `#compdef relay
# Completions of relay for zsh.
case $words[CURRENT-1] in
  ${fileOptions(entries).join("|")}) _files; return ;;
esac
local -a typed=(\${\${(@)words[2,CURRENT-1]}:#-*})
case "\${(j: :)typed} " in
${cases.join("\n")}
esac
`;
}

export function toFish(entries: readonly ReferenceEntry[]): string {
  const lines = entries.flatMap((entry) => {
    const condition = toFishCondition(entry);
    const commands = entry.commands.map(
      ({ name, description }) => `complete -c relay -n '${condition}' -a ${name} -d ${quote(description)}`,
    );
    const options = entry.options.map(({ names, takesFile, description }) => {
      const flags = names.map((name) =>
        name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
      );
      const file = takesFile ? " -r -F" : "";
      return `complete -c relay -n '${condition}' ${flags.join(" ")}${file} -d ${quote(description)}`;
    });
    return [...commands, ...options];
  });
  return `# Completions of relay for fish.\ncomplete -c relay -f\n${lines.join("\n")}\n`;
}

function toFishCondition({ path, commands }: ReferenceEntry): string {
  if (path === "") return "__fish_use_subcommand";
  const seen = path.split(" ").map((word) => `__fish_seen_subcommand_from ${word}`);
  const names = commands.map(({ name }) => name).join(" ");
  const open = commands.length === 0 ? [] : [`not __fish_seen_subcommand_from ${names}`];
  return [...seen, ...open].join("; and ");
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`;
}
