import { Type, type Static } from "typebox";
import {
  DEFAULT_MAX_CHOICES,
  MAX_BODY_BYTES,
  MAX_CHOICES,
  MAX_STORED_RESPONSE_BYTES,
} from "../lib/limits.ts";
import * as numbers from "./number-settings.ts";
import { setting } from "./setting.ts";
import * as words from "./word-settings.ts";

const Alias = Type.Object({
  name: Type.String({ minLength: 1 }),
  target: Type.String({ minLength: 1 }),
});

/** Another name of a model; `*` in `name` stands for any text. */
export type Alias = Readonly<Static<typeof Alias>>;

function readAlias(text: string): unknown {
  const at = text.indexOf("=");
  return at === -1 ? text : { name: text.slice(0, at).trim(), target: text.slice(at + 1).trim() };
}

/** Lists of "name=key", or one object of names. */
function aliasesFromFile(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item: unknown) => (typeof item === "string" ? readAlias(item) : item));
  }
  if (value === null || typeof value !== "object") return value;
  return Object.entries(value).map(([name, target]: [string, unknown]) => ({ name, target }));
}

/** How long requests wait and run, which model they mean, and what they may ask for. */
export const REQUEST_SETTINGS = {
  maxQueue: numbers.integerSetting({
    flag: "max-queue",
    fallback: 128,
    minimum: 0,
    maximum: 1_000_000,
    help: "Requests that may wait per model; beyond it clients are told to retry",
  }),
  loadTimeoutSeconds: numbers.secondsSetting({
    flag: "load-timeout",
    fallback: 600,
    minimum: 1,
    help: "Longest time a model may take to load, and a request may wait for it",
  }),
  requestTimeoutSeconds: numbers.secondsSetting({
    flag: "request-timeout",
    fallback: 0,
    minimum: 0,
    help: "Longest time a request may take; 0 = no limit",
  }),
  shutdownGraceSeconds: numbers.secondsSetting({
    flag: "shutdown-grace",
    fallback: 10,
    minimum: 0,
    help: "Time running requests get to finish when the server is stopped",
  }),
  aliases: setting({
    flag: "alias",
    fileKey: "aliases",
    argument: "<name=model>",
    isList: true,
    envSeparator: ",",
    schema: Type.Array(Alias),
    fallback: [],
    accepts: "name=model",
    read: (texts) => texts.map(readAlias),
    fromFile: aliasesFromFile,
    help: "Another name for a model, * stands for any text; may be repeated",
  }),
  modelFallback: words.flagSetting({
    flag: "model-fallback",
    fallback: false,
    help: "Answer with the only loaded model when the name is unknown",
  }),
  maxBodyBytes: numbers.sizeSetting({
    flag: "max-body",
    fallback: MAX_BODY_BYTES,
    minimum: 2 ** 10,
    maximum: 2 ** 31,
    help: "Largest request body (default 64MiB)",
  }),
  maxChoices: numbers.integerSetting({
    flag: "max-n",
    fallback: DEFAULT_MAX_CHOICES,
    minimum: 1,
    maximum: MAX_CHOICES,
    help: "Largest `n` of a request",
  }),
  reasoningField: words.choiceSetting({
    flag: "reasoning-field",
    words: ["reasoning_content", "reasoning", "both"],
    fallback: "reasoning_content",
    help: "Field of chat answers that carries the reasoning",
  }),
  allowLlmEmbeddings: words.flagSetting({
    flag: "allow-llm-embeddings",
    fallback: false,
    help: "Let language models answer /v1/embeddings",
  }),
  responsesStore: words.choiceSetting({
    flag: "responses-store",
    words: ["disk", "memory", "off"],
    fallback: "disk",
    help: "Where answers that may be continued by their id are kept (default disk)",
  }),
  responsesTtlSeconds: numbers.durationSetting({
    flag: "responses-ttl",
    fallback: 30 * 86_400,
    minimum: 0,
    help: "How long they are kept, such as 12h; 0 = in memory only (default 30d)",
  }),
  responsesMax: numbers.integerSetting({
    flag: "responses-max",
    fallback: 10_000,
    minimum: 0,
    maximum: 10_000_000,
    help: "How many are kept, chats used longest ago go first; 0 = in memory only",
  }),
  responsesSizeBytes: numbers.sizeSetting({
    flag: "responses-size",
    fallback: MAX_STORED_RESPONSE_BYTES,
    minimum: 0,
    maximum: 2 ** 50,
    help: "Text of all that are kept together; 0 = in memory only (default 1GiB)",
  }),
  restExtensions: words.flagSetting({
    flag: "rest-extensions",
    fallback: false,
    help: "Accept fields on /api/v1 that LM Studio does not have, such as ttl, lora and identifier",
  }),
} as const;
