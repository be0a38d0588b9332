// The process log: one line per entry, as JSON or as text for a terminal.

import { messageOf } from "./errors.ts";
import { clean, cleanJson } from "./printable.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = "json" | "text";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug: (message: string, fields?: LogFields) => void;
  info: (message: string, fields?: LogFields) => void;
  warn: (message: string, fields?: LogFields) => void;
  error: (message: string, fields?: LogFields) => void;
  isEnabled: (level: LogLevel) => boolean;
}

interface LogSettings {
  readonly level: LogLevel;
  /** Absent: `defaultFormat`. */
  readonly format?: LogFormat | undefined;
}

interface AdjustableLogger extends Logger {
  /** Takes effect with the next entry. */
  adjust: (settings: LogSettings) => void;
}

interface LoggerOptions extends LogSettings {
  /** Takes one line, without its line break. */
  readonly write: (line: string, level: LogLevel) => void;
  readonly now: () => Date;
  /** Default: `json`. */
  readonly defaultFormat?: LogFormat;
  /** Added to every JSON line. Text, which is for terminals, leaves them out. */
  readonly constant?: LogFields;
}

/** Masks nothing: callers must not log foreign text that may hold a secret. */
export function createLogger(options: LoggerOptions): AdjustableLogger {
  const { write, now, defaultFormat = "json", constant = {} } = options;
  let settings: LogSettings = options;
  const isEnabled = (level: LogLevel) => LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(settings.level);
  const log =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (!isEnabled(level)) return;
      const entry = { time: now(), level, message };
      const line =
        (settings.format ?? defaultFormat) === "json"
          ? toJsonLine({ ...entry, fields: { ...constant, ...fields } })
          : toTextLine({ ...entry, fields });
      write(line, level);
    };
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    isEnabled,
    adjust: (next) => (settings = next),
  };
}

/** Adds fields to every entry. */
export function withFields(logger: Logger, bound: LogFields): Logger {
  const log = (level: LogLevel) => (message: string, fields?: LogFields) =>
    logger[level](message, { ...bound, ...fields });
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    isEnabled: logger.isEnabled,
  };
}

interface Entry {
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

function toJsonLine({ time, level, message, fields }: Entry): string {
  return cleanJson(toJson({ time: time.toISOString(), level, message, ...fields }));
}

function toTextLine({ time, level, message, fields }: Entry): string {
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${toText(value)}`);
  return clean(
    `${time.toISOString().slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${message}${pairs.join("")}`,
  );
}

function toText(value: unknown): string {
  const text = toJson(value);
  return /^"([^\s"=\\]+)"$/.exec(text)?.[1] ?? text;
}

/** Accepts anything but a circular structure. */
function toJson(value: unknown): string {
  return JSON.stringify(value ?? null, (_name, part: unknown) => {
    if (typeof part === "bigint") return part.toString();
    return part instanceof Error ? messageOf(part) : part;
  });
}
