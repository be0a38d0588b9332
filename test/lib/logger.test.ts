// Lines of the process log, as they are written.

import { describe, expect, test } from "bun:test";

import {
  createLogger,
  LOG_LEVELS,
  type LogFields,
  type LogFormat,
  type Logger,
  type LogLevel,
  withFields,
} from "#lib/logger.ts";

const NOW = new Date("2024-05-06T07:08:09.010Z");

function createLog({
  level = "debug",
  format = "json",
  mask = (text) => text,
}: { level?: LogLevel; format?: LogFormat; mask?: (text: string) => string } = {}): {
  logger: Logger;
  lines: string[];
} {
  const lines: string[] = [];
  const logger = createLogger({ level, format, mask, write: (line) => lines.push(line), now: () => NOW });
  return { logger, lines };
}

function lineOf(format: LogFormat, message: string, fields?: LogFields): string | undefined {
  const { logger, lines } = createLog({ format });
  logger.info(message, fields);
  return lines[0];
}

describe("createLogger()", () => {
  test.each(LOG_LEVELS.map((level, index) => [level, LOG_LEVELS.slice(index)] as const))(
    "at level %s writes %p",
    (level, written) => {
      const { logger, lines } = createLog({ level });
      for (const each of LOG_LEVELS) logger[each](each);
      expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual([...written]);
      expect(LOG_LEVELS.filter((each) => logger.isEnabled(each))).toEqual([...written]);
    },
  );

  test("writes one JSON object per entry, time, level and message first", () => {
    expect(lineOf("json", "Consuming", { stream: "ORDERS", lag: 3, isProbe: false, at: null })).toBe(
      '{"time":"2024-05-06T07:08:09.010Z","level":"info","message":"Consuming","stream":"ORDERS","lag":3,"isProbe":false,"at":null}',
    );
  });

  test("writes text for a terminal", () => {
    const fields = { stream: "ORDERS", reason: "not found", list: [1], text: 'a"b', empty: "" };
    expect(lineOf("text", "Consumer lost", fields)).toBe(
      '07:08:09.010 INFO  Consumer lost stream=ORDERS reason="not found" list=[1] text="a\\"b" empty=""',
    );
  });

  test.each<[what: string, value: unknown, json: string]>([
    ["a bigint", 12_345_678_901_234_567_890n, '"12345678901234567890"'],
    ["an error", new Error("no space left"), '"no space left"'],
    ["a date", NOW, '"2024-05-06T07:08:09.010Z"'],
    ["what is deep", { cause: new Error("deep"), n: 1n }, '{"cause":"deep","n":"1"}'],
    ["no number", Number.NaN, "null"],
  ])("takes %s as a field", (_, value, json) => {
    expect(lineOf("json", "m", { value })).toEndWith(`,"value":${json}}`);
    const text = /^"\S+"$/.test(json) ? json.slice(1, -1) : json;
    expect(lineOf("text", "m", { value })).toEndWith(` value=${text}`);
  });

  test.each<LogFormat>(["json", "text"])(
    "keeps %s entries on one line and free of control characters",
    (format) => {
      const line = lineOf(format, "a\r\nb\u001b[31m", { text: "c\nd", one: "\u001b[2J", more: "\u0085" });
      expect(line).toContain("\\u001b[2J");
      const found = [...(line ?? "").matchAll(/\p{Cc}/gu)].map(([character]) => character);
      expect(found).toEqual(format === "json" ? ["\u0085"] : []);
    },
  );

  test.each<LogFormat>(["json", "text"])(
    "masks secrets in %s, whatever has to be escaped in them",
    (format) => {
      const secret = 'pass"word\\1\n';
      const { logger, lines } = createLog({ format, mask: (text) => text.replaceAll(secret, "***") });
      logger.info(`Sent ${secret}`, {
        text: `x-${secret}`,
        deep: { list: [secret] },
        error: new Error(`bad ${secret}`),
      });
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain("Sent ***");
      expect(lines[0]).toContain("x-***");
      expect(lines[0]).toContain('{"list":["***"]}');
      expect(lines[0]).toContain("bad ***");
      expect(lines[0]).not.toContain("word");
    },
  );

  test("does not format what it does not write", () => {
    const { logger, lines } = createLog({
      level: "warn",
      mask: () => {
        throw new Error("formatted");
      },
    });
    logger.info("m");
    expect(lines).toEqual([]);
  });
});

test("withFields() adds its fields to each entry, those of the entry win", () => {
  const { logger, lines } = createLog({ level: "info" });
  const bound = withFields(withFields(logger, { subscription: "billing", part: "pump" }), { part: "guard" });
  for (const level of LOG_LEVELS) bound[level]("m", { n: 1 });
  bound.info("m", { part: "own" });
  bound.info("m");
  const parsed = lines.map((line) => JSON.parse(line) as object);
  expect(parsed).toHaveLength(5);
  expect(parsed[0]).toMatchObject({ level: "info", subscription: "billing", part: "guard", n: 1 });
  expect(parsed[3]).toMatchObject({ part: "own" });
  expect(parsed[4]).toMatchObject({ subscription: "billing", part: "guard" });
  expect(bound.isEnabled("debug")).toBe(false);
});
