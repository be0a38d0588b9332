// Finds `${NAME}` in a text, and advises a reference instead: Relay replaces no variables inside texts.

const VARIABLE = /\$\{(?<braced>[A-Za-z_]\w*)\}|\{\{\s*\.?(?<double>[A-Za-z_]\w*)\s*\}\}/u;
const BARE = /^(?:\$(?:env:)?|env[:.]|process\.env\.)(?<bare>[A-Za-z_]\w*)$/u;

/** The name of the first variable in a text; null: there is none. */
export function variableIn(text: string): string | null {
  const { braced, double, bare } = { ...VARIABLE.exec(text)?.groups, ...BARE.exec(text)?.groups };
  return braced ?? double ?? bare ?? null;
}

/** Says what to write instead of a text with a variable; null: the text has none. */
export function adviseVariable(text: string, { isReferable }: { isReferable: boolean }): string | null {
  const name = variableIn(text);
  if (name === null) return null;
  if (!isReferable) return "Relay replaces no variables in this key: write the value itself";
  const isWhole = text.replace(VARIABLE, "").replace(BARE, "").trim() === "";
  return isWhole
    ? `write { "env": "${name}" }`
    : `write { "env": "${name}" } for the whole value, and put all of it into that variable`;
}
