// toCommandWords(): options before the command stand behind it, and help of a command is its option.

import { expect, test } from "bun:test";
import { toCommandWords } from "#cli/command-words.ts";

test.each([
  ["status --json", "status --json"],
  ["--config a.json status", "status --config a.json"],
  ["-c a.json dlq list --json", "dlq list --json -c a.json"],
  ["--config=a.json --url http://a run", "run --config=a.json --url http://a"],
  ["--config a.json subscriptions show -- -x", "subscriptions show --config a.json -- -x"],
  ["help dlq list", "dlq list --help"],
  ["--config a.json help dlq list", "dlq list --help"],
  ["help", "help"],
  ["--config a.json", "--config a.json"],
  ["--config", "--config"],
  ["--version", "--version"],
  ["--configuration a.json status", "--configuration a.json status"],
  ["", ""],
])("toCommandWords() of %p is %p", (given, taken) => {
  const words = (text: string) => text.split(" ").filter((word) => word !== "");
  expect(toCommandWords(["bun", "relay", ...words(given)])).toEqual(["bun", "relay", ...words(taken)]);
});
