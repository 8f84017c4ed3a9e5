import { Type } from "typebox";
import { type Common, last, setting } from "./setting.ts";

/** A whole number within bounds. */
export function integerSetting(
  options: Common & { fallback: number; minimum: number; maximum?: number },
) {
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = options;
  return setting({
    ...options,
    argument: "<n>",
    schema: Type.Integer({ minimum, maximum }),
    accepts: `an integer ${rangeText(minimum, maximum)}`,
    read: (texts) => readNumber(last(texts)),
  });
}

/** An integer, or null written as `auto`. */
export function autoIntegerSetting(options: Common & { minimum: number; maximum?: number }) {
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = options;
  return setting({
    ...options,
    argument: "<n|auto>",
    schema: Type.Union([Type.Integer({ minimum, maximum }), Type.Null()]),
    fallback: null,
    accepts: `an integer ${rangeText(minimum, maximum)}, or auto`,
    read: (texts) => (last(texts) === "auto" ? null : readNumber(last(texts))),
    fromFile: (value) => (value === "auto" ? null : value),
  });
}

/** A length of time; fractions are allowed. */
export function secondsSetting(options: Common & { fallback: number; minimum: number }) {
  // Timers hold 2^31 ms; anything above a day is not a timeout.
  const maximum = 2_000_000;
  return setting({
    ...options,
    argument: "<seconds>",
    schema: Type.Number({ minimum: options.minimum, maximum }),
    accepts: `a number of seconds ${rangeText(options.minimum, maximum)}`,
    read: (texts) => readNumber(last(texts)),
  });
}

const SECONDS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["s", 1],
  ["m", 60],
  ["h", 3_600],
  ["d", 86_400],
]);

/** Whole seconds, written with s, m, h or d or none; not for timers. */
export function durationSetting(options: Common & { fallback: number; minimum: number }) {
  const { minimum } = options;
  const read = (text: string): number => {
    const match = /^(\d+) ?([smhd]?)$/i.exec(text);
    const unit = SECONDS.get(match?.[2]?.toLowerCase() ?? "?");
    return unit === undefined ? Number.NaN : Number(match?.[1]) * unit;
  };
  return setting({
    ...options,
    argument: "<duration>",
    schema: Type.Integer({ minimum, maximum: 100 * 365 * 86_400 }),
    accepts: "a length of time such as 90s, 12h or 30d",
    read: (texts) => read(last(texts)),
    fromFile: (value) => (typeof value === "string" ? read(value) : value),
  });
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
]);

function readSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text);
  const unit = UNITS.get(match?.[2]?.toLowerCase() ?? "?");
  return unit === undefined ? Number.NaN : Math.floor(Number(match?.[1]) * unit);
}

/** Bytes, written with KiB, MiB or GiB or none. */
export function sizeSetting(
  options: Common & { fallback: number; minimum: number; maximum: number },
) {
  const { minimum, maximum } = options;
  return setting({
    ...options,
    argument: "<size>",
    schema: Type.Integer({ minimum, maximum }),
    accepts: `a size from ${sizeText(minimum)} to ${sizeText(maximum)}, such as 64MiB`,
    read: (texts) => readSize(last(texts)),
    fromFile: (value) => (typeof value === "string" ? readSize(value) : value),
  });
}

/** Bytes, or null written as `auto`. */
export function autoSizeSetting(options: Common & { minimum: number }) {
  const { minimum } = options;
  const read = (text: string): number | null => (text === "auto" ? null : readSize(text));
  return setting({
    ...options,
    argument: "<size|auto>",
    schema: Type.Union([Type.Integer({ minimum }), Type.Null()]),
    fallback: null,
    accepts: `a size of at least ${sizeText(minimum)} such as 24GiB, or auto`,
    read: (texts) => read(last(texts)),
    fromFile: (value) => (typeof value === "string" ? read(value) : value),
  });
}

const sizeText = (bytes: number): string =>
  bytes % 2 ** 30 === 0 ? `${bytes / 2 ** 30}GiB` : `${bytes / 2 ** 10}KiB`;

function readNumber(text: string): number {
  return /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
}

function rangeText(minimum: number, maximum: number): string {
  return maximum === Number.MAX_SAFE_INTEGER
    ? `of at least ${minimum}`
    : `from ${minimum} to ${maximum}`;
}
