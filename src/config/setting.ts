import { Type, type Static, type TSchema } from "typebox";

/** One setting: its type, its name in each place, and how text becomes a value. */
export interface Setting<S extends TSchema = TSchema> {
  /** Without dashes, for example `max-queue`. */
  flag: string;
  /** One letter, or null. */
  short: string | null;
  /** Another flag that means the same. */
  otherFlag: string | null;
  /** Environment variables that set it, the strongest first. Empty = flag only. */
  env: readonly string[];
  /** Key in the configuration file; null = not settable there. */
  fileKey: string | null;
  /** What stands after the flag in help; null = a switch that takes no argument. */
  argument: string | null;
  /** What the flag alone means, for a flag whose argument may be left out; null = required. */
  bareValue: string | null;
  /** A flag given twice adds to the list, instead of replacing it. */
  isList: boolean;
  /** Splits an environment variable into the items of a list; null = one item. */
  envSeparator: string | null;
  /** Its value is never shown. */
  isSecret: boolean;
  help: string;
  /** Type and range of the value; checked after `read`. */
  schema: S;
  fallback: Static<S>;
  /** Completes "... is not". */
  accepts: string;
  /** What is wrong with a value that the schema refuses, one clause each; null = `accepts` says it. */
  explain: ((value: unknown) => string[]) | null;
  /** A value out of the words given; something the schema refuses when they make no sense. */
  read(texts: readonly string[]): unknown;
  /** A value out of JSON of the configuration file; the schema decides about the result. */
  fromFile(value: unknown): unknown;
}

interface Common {
  flag: string;
  help: string;
  short?: string;
  otherFlag?: string;
  fileKey?: string;
  /** Weaker environment variables besides `LMSERVER_<FLAG>`. */
  otherEnv?: readonly string[];
  /** Only a flag: neither environment nor file. */
  flagOnly?: boolean;
}

function common(
  options: Common,
): Omit<Setting, "schema" | "fallback" | "accepts" | "explain" | "read" | "fromFile" | "argument"> {
  const { flag, flagOnly = false } = options;
  const variable = `LMSERVER_${flag.toUpperCase().replaceAll("-", "_")}`;
  const key = flag.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return {
    flag,
    short: options.short ?? null,
    otherFlag: options.otherFlag ?? null,
    env: flagOnly ? [] : [variable, ...(options.otherEnv ?? [])],
    fileKey: flagOnly ? null : (options.fileKey ?? key),
    bareValue: null,
    isList: false,
    envSeparator: null,
    isSecret: false,
    help: options.help,
  };
}

const last = (texts: readonly string[]): string => texts.at(-1) ?? "";
const asItIs = (value: unknown): unknown => value;

/** A custom kind: the schema, and how words become its value. */
export function setting<S extends TSchema>(
  options: Common &
    Pick<Setting<S>, "schema" | "fallback" | "accepts" | "argument" | "read"> &
    Partial<Pick<Setting<S>, "fromFile" | "bareValue" | "isList" | "envSeparator" | "explain">>,
): Setting<S> {
  const { schema, fallback, accepts, argument, read, fromFile = asItIs } = options;
  return {
    ...common(options),
    bareValue: options.bareValue ?? null,
    isList: options.isList ?? false,
    envSeparator: options.envSeparator ?? null,
    explain: options.explain ?? null,
    schema,
    fallback,
    accepts,
    argument,
    read,
    fromFile,
  };
}

/** On or off: `--x`, `--no-x`, `--x=true`. */
export function flagSetting(options: Common & { fallback: boolean }) {
  return setting({
    ...options,
    argument: null,
    schema: Type.Boolean(),
    accepts: "true or false",
    read: (texts) => readBoolean(last(texts)),
  });
}

/** On, off, or null: what the rest of the configuration makes of it. */
export function openFlagSetting(options: Common) {
  return setting({
    ...options,
    argument: null,
    schema: Type.Union([Type.Boolean(), Type.Null()]),
    fallback: null,
    accepts: "true or false",
    read: (texts) => readBoolean(last(texts)),
  });
}

/** The words people use in environment variables. @returns undefined for any other. */
function readBoolean(text: string): boolean | undefined {
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  return /^(false|0|no|off)$/i.test(text) ? false : undefined;
}

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

/** Text, or null when it is not set. */
export function textSetting(options: Common & { argument: string }) {
  return setting({
    ...options,
    schema: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
    fallback: null,
    accepts: "a text of at least one character",
    read: (texts) => last(texts),
  });
}

/** Texts that match `pattern`; each flag adds one. */
export function listSetting(
  options: Common & {
    argument: string;
    accepts?: string;
    pattern?: string;
    envSeparator?: string;
    /** One word may hold several items. */
    wordSeparator?: string;
  },
) {
  const { pattern, wordSeparator, accepts = "a text of at least one character" } = options;
  return setting({
    ...options,
    isList: true,
    schema: Type.Array(
      Type.String({ minLength: 1, ...(pattern === undefined ? {} : { pattern }) }),
    ),
    fallback: [],
    accepts,
    read: (texts) =>
      wordSeparator === undefined
        ? [...texts]
        : texts.flatMap((text) => text.split(wordSeparator)).map((item) => item.trim()),
    fromFile: (value) => (typeof value === "string" ? [value] : value),
  });
}

/** A list whose items are shown nowhere. */
export function secretListSetting(options: Common & { argument: string }) {
  return { ...listSetting(options), isSecret: true };
}

/** One of a few words; null when it is not set and `fallback` is null. */
export function choiceSetting<
  const Words extends readonly string[],
  F extends Words[number] | null,
>(options: Common & { words: Words; fallback: F }) {
  const { words, fallback } = options;
  const schema = Type.Unsafe<Words[number] | F>({
    enum: fallback === null ? [...words, null] : [...words],
  });
  return setting({
    ...options,
    argument: `<${words.join("|")}>`,
    schema,
    fallback,
    accepts: `one of ${words.join(", ")}`,
    read: (texts) => last(texts),
  });
}

function readNumber(text: string): number {
  return /^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
}

function rangeText(minimum: number, maximum: number): string {
  return maximum === Number.MAX_SAFE_INTEGER
    ? `of at least ${minimum}`
    : `from ${minimum} to ${maximum}`;
}
