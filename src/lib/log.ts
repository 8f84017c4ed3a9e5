export type LogLevel = "debug" | "info" | "warn" | "error" | "none";
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** One line per event, fixed keys, never prompt or answer text. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** A log that drops everything: for tests and for library use. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
