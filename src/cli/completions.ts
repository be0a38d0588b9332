// Makes the shell completions for bash, zsh and fish: commands, options, their values, and ids of the running relay.

import type { EntryOption, ReferenceEntry } from "./reference.ts";

/** What follows a word: words of a fixed list, or what `relay complete` lists. */
type Values = { readonly words: readonly string[] } | { readonly kind: string };

/** By option, wherever it is. */
const OF_OPTIONS: Readonly<Record<string, Values>> = {
  "--subscription": { kind: "subscriptions" },
  "--target": { kind: "subscriptions" },
  "--entrypoint": { kind: "entrypoints" },
  "--application": { kind: "applications" },
  "--host": { kind: "hosts" },
  "--hosts": { kind: "hosts" },
  "--status": { words: ["0", "2xx", "3xx", "4xx", "5xx"] },
  "--reason": { words: ["rejected", "server-error", "exception", "expression", "expired"] },
  "--format": { words: ["jsonl", "csv"] },
  "--from": { words: ["15m", "1h", "1d", "1w"] },
  "--time": { words: ["15m", "1h", "1d", "1w"] },
};

/** Of one command only. */
const OF_COMMANDS: Readonly<Record<string, Readonly<Record<string, Values>>>> = {
  "subscriptions seek": { "--to": { words: ["all", "new", "last"] } },
};

/** By the beginning of the command: the ids that it takes. */
const IDS: readonly (readonly [path: string, kind: string])[] = [
  ["subscriptions", "subscriptions"],
  ["dlq replays", "replays"],
  ["dlq", "letters"],
  ["logs show", "deliveries"],
];
const FORMATS = "config metrics errors permissions alerts dashboard man bash zsh fish";

/** The longest path first: the first that fits is the right one. */
function byDepth(entries: readonly ReferenceEntry[]): readonly ReferenceEntry[] {
  const depth = ({ path }: ReferenceEntry) => (path === "" ? 0 : path.split(" ").length);
  return [...entries].sort((left, right) => depth(right) - depth(left));
}

function wordsOf({ path, commands, options }: ReferenceEntry): string {
  const formats = path === "reference" ? FORMATS.split(" ") : [];
  const names = options.flatMap((option) => option.names);
  return [...commands.map(({ name }) => name), ...formats, ...names, "--help"].join(" ");
}

/** The kind of ids that a command takes; null: none. */
function idsOf({ path, usage }: ReferenceEntry): string | null {
  if (!/<id>|\[ids\.\.\.\]/u.test(usage)) return null;
  return IDS.find(([begin]) => `${path} `.startsWith(`${begin} `))?.[1] ?? null;
}

function valuesOf(option: string, path: string): Values | null {
  return OF_COMMANDS[path]?.[option] ?? OF_OPTIONS[option] ?? null;
}

function fileOptions(entries: readonly ReferenceEntry[]): readonly string[] {
  const options = entries.flatMap((entry) => entry.options);
  return [...new Set(options.filter(({ takesFile }) => takesFile).flatMap(({ names }) => names))];
}

/** Of what was typed so far, which ends with a space. */
function toPattern(path: string): string {
  return path === "" ? '" "' : `"${path} "*`;
}

/** A `case` of the words `command option`, for bash and zsh. `list` makes what is offered. */
function toValueCases(list: (values: Values) => string): readonly string[] {
  const own = Object.entries(OF_COMMANDS).flatMap(([path, options]) =>
    Object.entries(options).map(([option, values]) => `    "${path} "*"|${option}") ${list(values)} ;;`),
  );
  const others = Object.entries(OF_OPTIONS).map(
    ([option, values]) => `    *"|${option}") ${list(values)} ;;`,
  );
  return [...own, ...others];
}

export function toBash(entries: readonly ReferenceEntry[]): string {
  const cases = byDepth(entries).map((entry) => {
    const ids = idsOf(entry);
    const more = ids === null ? "" : `; [[ $current == -* ]] || words+=" $(_relay_ids ${ids})"`;
    return `    ${toPattern(entry.path)}) words="${wordsOf(entry)}"${more} ;;`;
  });
  const list = (values: Values) =>
    "kind" in values ? `words=$(_relay_ids ${values.kind})` : `words="${values.words.join(" ")}"`;
  return `# Completions of relay for bash.
_relay_ids() {
  relay complete "$1" "\${where[@]}" 2>/dev/null
}
_relay() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} typed= words= word at
  local -a where=()
  case $before in
    ${fileOptions(entries).join(" | ")})
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
  esac
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    case $word in
      -c | --config | --url) where+=("$word" "\${COMP_WORDS[at + 1]}") ;;
    esac
    [[ $word == -* ]] || typed+="\${typed:+ }$word"
  done
  typed+=" "
  typed=\${typed/#subs /subscriptions }
  case "$typed|$before" in
${toValueCases(list).join("\n")}
    *)
  case "$typed" in
${cases.join("\n")}
  esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o bashdefault -o default -F _relay relay
`;
}

export function toZsh(entries: readonly ReferenceEntry[]): string {
  const cases = byDepth(entries).map((entry) => {
    const ids = idsOf(entry);
    const more = ids === null ? "" : `; compadd -- $(_relay_ids ${ids})`;
    return `      ${toPattern(entry.path)}) compadd -- ${wordsOf(entry)}${more} ;;`;
  });
  const list = (values: Values) =>
    `compadd -- ${"kind" in values ? `$(_relay_ids ${values.kind})` : values.words.join(" ")}`;
  return `#compdef relay
# Completions of relay for zsh.
_relay_ids() {
  relay complete $1 $where 2>/dev/null
}
_relay() {
  case $words[CURRENT-1] in
    ${fileOptions(entries).join("|")}) _files; return ;;
  esac
  local -a typed=(\${\${(@)words[2,CURRENT-1]}:#-*}) where
  local at
  for ((at = 2; at < CURRENT; at++)); do
    case $words[at] in
      -c|--config|--url) where+=($words[at] $words[at+1]) ;;
    esac
  done
  [[ $typed[1] == subs ]] && typed[1]=subscriptions
  case "\${(j: :)typed} |$words[CURRENT-1]" in
${toValueCases(list).join("\n")}
    *)
      case "\${(j: :)typed} " in
${cases.join("\n")}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _relay ]]; then _relay "$@"; else compdef _relay relay; fi
`;
}

export function toFish(entries: readonly ReferenceEntry[]): string {
  const list = (values: Values) =>
    "kind" in values ? `(relay complete ${values.kind} 2>/dev/null)` : values.words.join(" ");
  const toOption = ({ path }: ReferenceEntry, condition: string, option: EntryOption) => {
    const flags = option.names.map((name) =>
      name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
    );
    const values = option.names.map((name) => valuesOf(name, path)).find((found) => found !== null);
    const taken = values === undefined ? "" : ` -x -a ${quote(list(values))}`;
    const file = option.takesFile ? " -r -F" : taken;
    return `complete -c relay -n '${condition}' ${flags.join(" ")}${file} -d ${quote(option.description)}`;
  };
  const lines = entries.flatMap((entry) => {
    const condition = toFishCondition(entry);
    const commands = entry.commands.map(
      ({ name, description }) => `complete -c relay -n '${condition}' -a ${name} -d ${quote(description)}`,
    );
    const ids = idsOf(entry);
    const own = [
      ...(ids === null ? [] : [list({ kind: ids })]),
      ...(entry.path === "reference" ? [FORMATS] : []),
    ].map((text) => `complete -c relay -n '${condition}' -a ${quote(text)}`);
    return [...commands, ...own, ...entry.options.map((option) => toOption(entry, condition, option))];
  });
  return `# Completions of relay for fish.\ncomplete -c relay -f\n${lines.join("\n")}\n`;
}

function toFishCondition({ path, commands }: ReferenceEntry): string {
  if (path === "") return "__fish_use_subcommand";
  const seen = path
    .split(" ")
    .map((word) => `__fish_seen_subcommand_from ${word === "subscriptions" ? "subscriptions subs" : word}`);
  const names = commands.map(({ name }) => name).join(" ");
  const open = commands.length === 0 ? [] : [`not __fish_seen_subcommand_from ${names}`];
  return [...seen, ...open].join("; and ");
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`;
}
