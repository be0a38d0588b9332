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

function createLog({ level = "debug", format = "json" }: { level?: LogLevel; format?: LogFormat } = {}): {
  logger: Logger;
  lines: string[];
} {
  const lines: string[] = [];
  const logger = createLogger({ level, format, write: (line) => lines.push(line), now: () => NOW });
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

  test("writes the constant fields in JSON, and leaves them out of text", () => {
    const lines: string[] = [];
    const options = { level: "debug", write: (line: string) => lines.push(line), now: () => NOW } as const;
    const logger = createLogger({ ...options, format: "json", constant: { host: "edge-7" } });
    logger.info("Connected", { server: "a" });
    logger.adjust({ level: "debug", format: "text" });
    logger.info("Connected", { server: "a" });
    expect(lines).toEqual([
      '{"time":"2024-05-06T07:08:09.010Z","level":"info","message":"Connected","host":"edge-7","server":"a"}',
      "07:08:09.010 INFO  Connected server=a",
    ]);
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
    "keeps %s entries on one line, and free of what steers a terminal or turns a text",
    (format) => {
      const hostile = "\u001b[2J\u0085\u007f\u200b\u200f\u202e\u2028\u2029\u2069\ufeff\u{e0041}";
      const line = lineOf(format, `a\r\nb${hostile}`, { text: "c\nd", [`n\u202e`]: "x", hostile }) ?? "";
      expect(line).toContain(
        "\\u001b[2J\\u0085\\u007f\\u200b\\u200f\\u202e\\u2028\\u2029\\u2069\\ufeff\\udb40\\udc41",
      );
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      if (format === "json") expect(JSON.parse(line)).toMatchObject({ message: `a\r\nb${hostile}`, hostile });
    },
  );

  test.each<LogFormat>(["json", "text"])("masks nothing in %s: ids and words are Relay's own", (format) => {
    expect(lineOf(format, "Consuming", { subscription: "Consuming" })?.match(/Consuming/g)).toHaveLength(2);
  });

  test("does not format what it does not write", () => {
    const { logger, lines } = createLog({ level: "warn" });
    const formatted = {
      toJSON: () => {
        throw new Error("formatted");
      },
    };
    logger.info("m", { formatted });
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

test.each([
  [undefined, undefined, "{"],
  [undefined, "text", "0"],
  ["json", "text", "{"],
  ["text", "json", "0"],
] as const)(
  "createLogger() writes as format %p says, else as defaultFormat %p",
  (format, defaultFormat, first) => {
    const lines: string[] = [];
    const write = (line: string) => lines.push(line);
    const defaults = defaultFormat === undefined ? {} : { defaultFormat };
    createLogger({ level: "info", format, ...defaults, write, now: () => NOW }).info("Ready");
    expect(lines[0]).toStartWith(first);
  },
);
