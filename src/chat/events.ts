import type { AdapterScale } from "../protocol/commands.ts";
import type { JobTimings, TokenLogprob } from "../protocol/events.ts";
import type { Sampling } from "../protocol/sampling.ts";
import type { AnswerIssue } from "./answer-check.ts";
import type { AnswerFormat, ChatOptions, Message } from "./conversation.ts";

/** A prompt that is used as it is, without a chat template. */
export type RawPrompt =
  | { kind: "text"; text: string }
  | { kind: "tokens"; tokens: readonly number[] }
  | { kind: "infill"; prefix: string; suffix: string };

/** One generation, free of any wire dialect. `model` is the name as the client sent it. */
export interface GenerateRequest {
  /** null = the client named none: the only loaded or only installed model answers. */
  model: string | null;
  input:
    | { kind: "chat"; messages: readonly Message[]; options: ChatOptions }
    | { kind: "prompt"; prompt: RawPrompt; format: AnswerFormat };
  /** What the request itself chose; the rest comes from the model's preset, then the defaults. */
  sampling: Partial<Sampling>;
  stops: readonly string[];
  /** null = until the end token or the context's end. */
  maxTokens: number | null;
  choices: number;
  /** Alternatives per token; null = no log probabilities. */
  logprobs: number | null;
  promptLogprobs: boolean;
  cachePrompt: boolean;
  /** LoRA adapters to use, all others off; absent = those of the load, at their scales. */
  adapters?: readonly AdapterScale[];
  /** A small model that drafts for it, as the client named it; absent or null = none. */
  draftModel?: string | null;
  /** Tokens of context that who answers must have; absent or null = whatever there is. */
  contextLength?: number | null;
  /** Idle seconds before a model loaded by this request is unloaded; null = server default. */
  ttlSeconds: number | null;
}

/** A request and whose it is. */
export interface OwnedRequest extends GenerateRequest {
  /** Stored prefixes are shared within it only; see `GenerateJob`. */
  cacheScope: string;
}

export type FinishReason = "stop" | "length" | "tool_calls";

/** What a generation tells its caller, in this order per choice: deltas, then `finished`. */
export type GenerateEvent =
  /** First event: the model is found, by its key. It is not loaded yet. */
  | { type: "resolved"; key: string }
  /** The instance that is to answer is known. It may still refuse. */
  | {
      type: "assigned";
      /** Identifier of the instance. */
      model: string;
      /** Of its model. */
      key: string;
    }
  /** The answer begins; nothing was sent before it, so refusals keep their own status. */
  | {
      type: "started";
      /** Identifier of the instance that answers. */
      model: string;
      promptTokens: number;
      cachedTokens: number;
      /** What the model reads, a chat's as its template renders it; absent where that is no text. */
      prompt?: string;
      /** What of the request could only be honoured in part, one sentence each. */
      warnings?: readonly string[];
    }
  | { type: "progress"; processed: number; total: number }
  | { type: "promptLogprobs"; tokens: readonly TokenLogprob[] }
  /** Of a raw prompt, `text` may be "" when only hidden tokens follow. */
  | { type: "text"; choice: number; text: string; logprobs: readonly TokenLogprob[] | null }
  | { type: "reasoning"; choice: number; text: string }
  /** A new call begins; its arguments follow. `index` counts from 0 per choice. */
  | { type: "toolCall"; choice: number; index: number; id: string; name: string }
  | { type: "toolArguments"; choice: number; index: number; text: string }
  | {
      type: "finished";
      choice: number;
      reason: FinishReason;
      /** The stop string that matched, null otherwise. */
      stop: string | null;
      completionTokens: number;
      reasoningTokens: number;
      meanLogprob: number | null;
      /** Where a finished answer, or the arguments of its calls, break what no grammar enforces. */
      schemaIssues?: readonly AnswerIssue[];
    }
  /** Last event. */
  | { type: "done"; timings: JobTimings }
  /**
   * Last event of a generation that then throws, if it has sampled anything: the tokens of the
   * choices that have not told their end, all together, and the times up to now.
   */
  | {
      type: "interrupted";
      completionTokens: number;
      reasoningTokens: number;
      timings: JobTimings;
    };

/** The one door to generation. @throws LmError before `started`, or later when an engine fails. */
export type Generate = (
  request: OwnedRequest,
  signal: AbortSignal,
) => AsyncGenerator<GenerateEvent, void, void>;

/** A chat request as the model would read it. */
export interface RenderedChat {
  /** Identifier of the instance that would answer. */
  model: string;
  prompt: string;
  promptTokens: number;
}

/**
 * Looks at raw prompts of one model that are not generated from at once. Tells the model as their
 * generation does.
 * @throws LmError as the generation of one of them would: its prompt is too long or unreadable; `prompt[i]` in it is
 *   the prompt of the request at index i.
 */
export type CheckPrompts = (
  requests: readonly GenerateRequest[],
  signal: AbortSignal,
) => AsyncGenerator<Extract<GenerateEvent, { type: "resolved" | "assigned" }>, void, void>;

/** Renders and counts without generating. Only for requests whose input is a chat. */
export type RenderChat = (request: GenerateRequest, signal: AbortSignal) => Promise<RenderedChat>;
