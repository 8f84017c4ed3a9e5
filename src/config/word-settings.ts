import { Type } from "typebox";
import { type Common, last, setting } from "./setting.ts";

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
