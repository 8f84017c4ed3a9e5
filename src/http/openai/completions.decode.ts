import type { GenerateRequest, RawPrompt } from "../../chat/events.ts";
import { invalidRequest, type LmError } from "../../lib/errors.ts";
import { outOfRange } from "../refusals.ts";
import type { WireParam } from "../wire-param.ts";
import { toAnswerFormat } from "./answer-format.decode.ts";
import { toChoices, toStops, unsupported } from "./chat-completions.decode.ts";
import type { CompletionRequest, PromptField } from "./completions.schema.ts";
import { toAdapters } from "./lora-field.ts";
import { toSampling } from "./sampling.decode.ts";

const DEFAULT_MAX_TOKENS = 16;

/** A completions request free of the wire's names, and how its answer is to be written. */
export interface DecodedCompletion {
  /** One generation per prompt. */
  requests: GenerateRequest[];
  /** What `echo` puts in front, per prompt; null = read it from the prompt's tokens. */
  echoes: (string | null)[] | null;
  /** Choices returned per prompt; each request may generate more. */
  choices: number;
  /** Alternatives per token; null = no log probabilities in the answer. */
  logprobs: number | null;
  stream: boolean;
  includeUsage: boolean;
  toWire: WireParam;
  /** For what the request at this index is refused: of several prompts its own is named. */
  toWireOf(index: number): WireParam;
}

/**
 * Refuses prompts whose form no schema message would explain well.
 * @param prompt As received, before the schema check.
 */
export function checkPromptForm(prompt: unknown): void {
  if (!Array.isArray(prompt) || prompt.length === 0) return;
  const kinds = new Set(prompt.map((item) => (Array.isArray(item) ? "array" : typeof item)));
  if (kinds.size > 1) throw invalidPrompt("its items are of different kinds");
  const lists: unknown[] = kinds.has("array") ? prompt : kinds.has("number") ? [prompt] : [];
  for (const [index, list] of lists.entries()) {
    if (!Array.isArray(list)) continue;
    const param = lists.length > 1 ? `prompt[${index}]` : "prompt";
    if (list.length === 0) throw invalidPrompt("a list of tokens is empty", param);
    if (!list.every((token) => Number.isSafeInteger(token) && Number(token) >= 0)) {
      throw invalidPrompt("a token id is not a whole number of at least 0", param);
    }
  }
}

function invalidPrompt(reason: string, param = "prompt"): LmError {
  return invalidRequest(param, "invalid_value", `Invalid value for '${param}': ${reason}.`);
}

/** @throws LmError invalid_request for what the schema alone cannot say. */
export function toCompletionRequests(
  body: CompletionRequest,
  maxChoices: number,
): DecodedCompletion {
  const choices = toChoices(body.n ?? 1, maxChoices);
  const bestOf = toBestOf(body, choices);
  const echo = body.echo ?? false;
  const prompts = toPrompts(body, echo);
  const readsTokens = echo && prompts.some(({ kind }) => kind === "tokens");
  const logprobs = body.logprobs ?? null;
  const needsScores = logprobs !== null || readsTokens || bestOf > choices;
  const shared = {
    model: body.model ?? null,
    sampling: toSampling(body),
    stops: toStops(body.stop ?? null),
    maxTokens: toMaxTokens(body),
    choices: bestOf,
    logprobs: needsScores ? (logprobs ?? 0) : null,
    promptLogprobs: echo && (logprobs !== null || readsTokens),
    cachePrompt: body.cache_prompt ?? true,
    ttlSeconds: body.ttl ?? null,
    draftModel: body.draft_model ?? null,
    ...toAdapters(body.lora ?? null),
  };
  // response_format is a field of chats, and unknown here.
  const { grammar = null, json_schema = null } = body;
  const format = toAnswerFormat({ grammar, json_schema }, false);
  const formatField = body.json_schema == null ? "grammar" : "json_schema";
  const toWire = (param: string): string => {
    if (param === "draftModel") return "draft_model";
    return param === "format" ? formatField : param;
  };
  const isBatch = prompts.length > 1;
  return {
    requests: prompts.map((prompt) => ({ ...shared, input: { kind: "prompt", prompt, format } })),
    echoes: echo ? prompts.map((prompt) => (prompt.kind === "text" ? prompt.text : null)) : null,
    choices,
    logprobs,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    toWire,
    toWireOf: (index) => (param) =>
      param === "prompt" && isBatch ? `prompt[${index}]` : toWire(param),
  };
}

function toBestOf(body: CompletionRequest, choices: number): number {
  const bestOf = body.best_of ?? choices;
  if (bestOf < choices) {
    throw invalidRequest(
      "best_of",
      "invalid_value",
      "Invalid value for 'best_of': it must be at least 'n'.",
    );
  }
  if (body.stream === true && bestOf > choices) {
    throw invalidRequest(
      "best_of",
      "invalid_value",
      "Invalid value for 'best_of': a stream cannot choose among finished answers.",
    );
  }
  return bestOf;
}

function toMaxTokens(body: CompletionRequest): number | null {
  if (body.n_predict === 0) throw outOfRange("n_predict", "integer", "below_min", ">= 1", 0);
  const { max_completion_tokens, max_tokens, n_predict } = body;
  const limit = max_completion_tokens ?? max_tokens ?? n_predict ?? DEFAULT_MAX_TOKENS;
  return limit === -1 ? null : limit;
}

function toPrompts(body: CompletionRequest, echo: boolean): RawPrompt[] {
  const prompts = listPrompts(body.prompt);
  const suffix = body.suffix ?? "";
  if (suffix === "") return prompts;
  return prompts.map((prompt) => {
    if (echo || prompt.kind !== "text") {
      throw unsupported("suffix", "'suffix' needs text prompts and 'echo: false'.");
    }
    return { kind: "infill", prefix: prompt.text, suffix: suffix.toWellFormed() };
  });
}

function listPrompts(prompt: PromptField): RawPrompt[] {
  if (prompt === null) return [textPrompt("")];
  if (typeof prompt === "string") return [textPrompt(prompt)];
  const tokens: number[] = [];
  const prompts: RawPrompt[] = [];
  for (const item of prompt) {
    if (typeof item === "number") tokens.push(item);
    else
      prompts.push(typeof item === "string" ? textPrompt(item) : { kind: "tokens", tokens: item });
  }
  return tokens.length > 0 ? [{ kind: "tokens", tokens }] : prompts;
}

const textPrompt = (text: string): RawPrompt => ({ kind: "text", text: text.toWellFormed() });
