import { hasCode, invalidRequest, LmError } from "../lib/errors.ts";
import type { Vocabulary } from "../llama/backend.ts";
import type { EmbedInput, JobPrompt } from "../protocol/commands.ts";

/** Text per token of context that is surely too long; real vocabularies average four. */
const CHARACTERS_PER_TOKEN = 16;
/** A cut in the middle of a word may change a few tokens around it. */
const CUT_TOKENS = 64;

/**
 * The tokens of a prompt, fewer than `contextLength`: an answer needs room too. An empty text is the BOS token alone.
 *
 * Tokenising takes time in proportion to the text, and streams wait for it. So a text far beyond the
 * context is tokenised only as far as it takes to know that it does not fit; the refusal then names
 * the tokens counted so far.
 *
 * @throws LmError invalid_request for ids outside the vocabulary, for infill without its tokens, and
 *   for a prompt of no tokens at all; context_length_exceeded when no room is left to answer.
 */
export function promptTokens(
  prompt: JobPrompt,
  vocabulary: Vocabulary,
  contextLength: number,
): Int32Array {
  for (const text of promptTexts(prompt)) {
    assertNotHopeless(text, vocabulary, contextLength, "prompt");
  }
  const tokens = allTokens(prompt, vocabulary);
  if (tokens.length >= contextLength) throw tooLong("prompt", tokens.length, contextLength);
  return tokens;
}

/** Most tokens that are counted for their own sake; about a second of work. */
const MOST_COUNTED = 262_144;

/**
 * The tokens of a prompt, whether they fit the context or not.
 * @throws LmError invalid_request as `promptTokens` does, and for more than are counted.
 */
export function countedTokens(prompt: JobPrompt, vocabulary: Vocabulary): Int32Array {
  try {
    return promptTokens(prompt, vocabulary, MOST_COUNTED);
  } catch (error) {
    if (!hasCode(error, "context_length_exceeded")) throw error;
    const message = `'prompt' is too long to count: it has more than ${MOST_COUNTED - 1} tokens`;
    throw invalidRequest("prompt", "invalid_value", message);
  }
}

/**
 * The tokens of a text or token list to embed, at most `limit`; `param` names it in errors.
 * @throws LmError invalid_request, context_length_exceeded.
 */
export function inputTokens(
  input: EmbedInput,
  vocabulary: Vocabulary,
  limit: number,
  param: string,
): Int32Array {
  if (typeof input === "string") assertNotHopeless(input, vocabulary, limit, param);
  const tokens =
    typeof input === "string"
      ? vocabulary.tokenize(input, true, true)
      : checkedTokens(input, vocabulary, param);
  if (tokens.length > limit) throw tooLong(param, tokens.length, limit);
  return tokens.length > 0 ? tokens : checkedTokens([], vocabulary, param);
}

/** @throws LmError context_length_exceeded when the beginning of the text is too long by itself. */
function assertNotHopeless(
  text: string,
  vocabulary: Vocabulary,
  limit: number,
  param: string,
): void {
  const longest = limit * CHARACTERS_PER_TOKEN;
  if (text.length <= longest) return;
  const counted = vocabulary.tokenize(text.slice(0, longest).toWellFormed(), false, false).length;
  if (counted >= limit + CUT_TOKENS) throw tooLong(param, counted, limit, true);
}

function promptTexts(prompt: JobPrompt): string[] {
  if (prompt.kind === "tokens") return [];
  return prompt.kind === "text" ? [prompt.text] : [prompt.prefix, prompt.suffix];
}

function allTokens(prompt: JobPrompt, vocabulary: Vocabulary): Int32Array {
  if (prompt.kind === "tokens") return checkedTokens(prompt.tokens, vocabulary, "prompt");
  if (prompt.kind === "infill") return infillTokens(prompt.prefix, prompt.suffix, vocabulary);
  const { text, addSpecial, parseSpecial } = prompt;
  return notEmpty(vocabulary.tokenize(text, addSpecial, parseSpecial), vocabulary);
}

/** @throws LmError invalid_request (invalid_value) naming `param` for an id outside the vocabulary. */
export function checkedTokens(
  tokens: readonly number[],
  vocabulary: Vocabulary,
  param: string,
): Int32Array {
  for (const [index, token] of tokens.entries()) {
    if (Number.isInteger(token) && token >= 0 && token < vocabulary.size) continue;
    throw invalidRequest(
      param,
      "invalid_value",
      `Token ${index} of '${param}' is ${token}; ids go from 0 to ${vocabulary.size - 1}`,
    );
  }
  if (tokens.length === 0) throw invalidRequest(param, "empty_array", `'${param}' has no tokens`);
  return Int32Array.from(tokens);
}

/** Prefix, suffix, middle: the order of llama-server's /infill. */
function infillTokens(prefix: string, suffix: string, vocabulary: Vocabulary): Int32Array {
  const { infill, bos, addsBos } = vocabulary;
  if (infill === null) {
    throw invalidRequest(
      "suffix",
      "unsupported_parameter",
      "This model has no fill-in-the-middle tokens",
    );
  }
  return Int32Array.of(
    ...(addsBos && bos >= 0 ? [bos] : []),
    infill.prefix,
    ...vocabulary.tokenize(prefix, false, false),
    infill.suffix,
    ...vocabulary.tokenize(suffix, false, false),
    infill.middle,
  );
}

function notEmpty(tokens: Int32Array, vocabulary: Vocabulary): Int32Array {
  if (tokens.length > 0) return tokens;
  const start = vocabulary.bos >= 0 ? vocabulary.bos : vocabulary.eos;
  if (start >= 0) return Int32Array.of(start);
  throw invalidRequest(
    "prompt",
    "empty_string",
    "The prompt is empty and the model has no BOS token",
  );
}

function tooLong(param: string, counted: number, contextLength: number, isLeast = false): LmError {
  return new LmError(
    "context_length_exceeded",
    { promptTokens: counted, contextLength, param, isLeast },
    `'${param}' has ${isLeast ? "at least " : ""}${counted} tokens; the context holds ${contextLength}`,
  );
}
