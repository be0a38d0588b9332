// The process log: one line per entry, as JSON or as text for a terminal.

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

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Takes one line, without its line break. */
  readonly write: (line: string) => void;
  readonly now: () => Date;
  /** Applied to every line before it is written: masks secrets. */
  readonly mask: (text: string) => string;
}

export function createLogger(options: LoggerOptions): Logger {
  const threshold = LOG_LEVELS.indexOf(options.level);
  const isEnabled = (level: LogLevel) => LOG_LEVELS.indexOf(level) >= threshold;
  const format = options.format === "json" ? toJsonLine : toTextLine;
  const log =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (isEnabled(level)) options.write(options.mask(format(options.now(), level, { message, fields })));
    };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error"), isEnabled };
}

/** Bound to fields that every entry of a part has. */
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
  readonly message: string;
  readonly fields: LogFields;
}

function toJsonLine(now: Date, level: LogLevel, { message, fields }: Entry): string {
  return JSON.stringify({ time: now.toISOString(), level, message, ...fields });
}

function toTextLine(now: Date, level: LogLevel, { message, fields }: Entry): string {
  const time = now.toISOString().slice(11, 23);
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${toText(value)}`);
  return `${time} ${level.toUpperCase().padEnd(5)} ${message}${pairs.join("")}`;
}

function toText(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
