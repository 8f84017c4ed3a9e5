import type { ChatOptions, Message } from "../../chat/conversation.ts";
import type { GenerateRequest } from "../../chat/events.ts";
import { invalidRequest } from "../../lib/errors.ts";
import { printable } from "../../lib/printable.ts";
import { outOfRange } from "../refusals.ts";
import type { WireParam } from "../wire-param.ts";
import { formatSource, toAnswerFormat } from "./answer-format.decode.ts";
import type { ChatCompletionRequest } from "./chat-completions.schema.ts";
import { toAdapters } from "./lora-field.ts";
import { toMessages } from "./messages.decode.ts";
import { toSampling } from "./sampling.decode.ts";
import { toTools } from "./tools.decode.ts";

/** A chat request free of the wire's names, and how its answer is to be written. */
export interface DecodedChat {
  request: GenerateRequest;
  stream: boolean;
  includeUsage: boolean;
  legacyFunctions: boolean;
  toWire: WireParam;
}

/** @throws LmError invalid_request for what the schema alone cannot say. */
export function toChatRequest(body: ChatCompletionRequest, maxChoices: number): DecodedChat {
  refuseAudio(body);
  const messages = toMessages(body.messages, printable(body.model ?? "default"));
  const { tools, toolChoice, isLegacy } = toTools(body);
  const turn = toTurn(body, messages);
  const options: ChatOptions = {
    tools,
    toolChoice,
    parallelToolCalls: !isLegacy && (body.parallel_tool_calls ?? true),
    format: toAnswerFormat(body, tools.length > 0 && toolChoice.kind !== "none"),
    ...toReasoning(body),
    splitReasoning: body.reasoning_format !== "none",
    ...turn,
  };
  const request: GenerateRequest = {
    model: body.model ?? null,
    input: { kind: "chat", messages, options },
    sampling: toSampling(body),
    stops: toStops(body.stop ?? null),
    maxTokens: toMaxTokens(body),
    choices: toChoices(body.n ?? 1, maxChoices),
    logprobs: toLogprobs(body),
    promptLogprobs: false,
    cachePrompt: body.cache_prompt ?? true,
    ttlSeconds: body.ttl ?? null,
    draftModel: body.draft_model ?? null,
    ...toAdapters(body.lora ?? null),
  };
  return {
    request,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    legacyFunctions: isLegacy,
    toWire: (param) => toWire(param, body, isLegacy),
  };
}

/** Names of the wire for the paths that refusals from further in carry. */
function toWire(param: string, body: ChatCompletionRequest, isLegacy: boolean): string {
  if (param === "prompt") return "messages";
  if (param === "draftModel") return "draft_model";
  if (param === "reasoningBudget") return "reasoning_budget_tokens";
  if (param === "format") return body.grammar == null ? formatSource(body) : "grammar";
  return param.replace(/^tools\[(\d+)\]\.?/, isLegacy ? "functions[$1]." : "tools[$1].function.");
}

function refuseAudio(body: ChatCompletionRequest): void {
  if (body.audio) throw unsupported("audio", "Audio output is not supported.");
  const modalities = body.modalities ?? ["text"];
  if (modalities.includes("audio") || !modalities.includes("text")) {
    throw unsupported("modalities", "Only the modality 'text' is supported.");
  }
}

/** A parameter that is known but not served. */
export function unsupported(param: string, message: string) {
  return invalidRequest(param, "unsupported_parameter", message);
}

type Turn = Pick<ChatOptions, "addGenerationPrompt" | "continueFinalMessage">;

function toTurn(body: ChatCompletionRequest, messages: readonly Message[]): Turn {
  const lastSent = body.messages.at(-1);
  const hasPrefix = lastSent?.role === "assistant" && lastSent.prefix === true;
  const continueFinalMessage = body.continue_final_message ?? hasPrefix;
  if (!continueFinalMessage) {
    return { continueFinalMessage, addGenerationPrompt: body.add_generation_prompt ?? true };
  }
  const field =
    body.continue_final_message == null
      ? `messages[${body.messages.length - 1}].prefix`
      : "continue_final_message";
  const last = messages.at(-1);
  if (last?.role !== "assistant" || last.toolCalls.length > 0) {
    throw invalidRequest(
      field,
      "invalid_value",
      `Invalid value for '${field}': the last message must be an assistant message without tool calls.`,
    );
  }
  if (body.add_generation_prompt === true) {
    throw invalidRequest(
      "add_generation_prompt",
      "invalid_value",
      `Invalid value for 'add_generation_prompt': it cannot be combined with '${field}'.`,
    );
  }
  return { continueFinalMessage, addGenerationPrompt: false };
}

type ReasoningOptions = Pick<
  ChatOptions,
  "reasoningEffort" | "enableThinking" | "reasoningBudget" | "templateKwargs"
>;

function toReasoning(body: ChatCompletionRequest): ReasoningOptions {
  const reasoningEffort = body.reasoning_effort ?? body.reasoning?.effort ?? null;
  const budget = body.reasoning_budget_tokens ?? body.thinking_budget_tokens ?? -1;
  const kwargs = toTemplateKwargs(body.chat_template_kwargs ?? {});
  const variable = kwargs["enable_thinking"] ?? null;
  if (variable !== null && typeof variable !== "boolean") {
    const path = "chat_template_kwargs.enable_thinking";
    throw invalidRequest(path, "invalid_type", `Invalid type for '${path}': expected a boolean.`);
  }
  // One switch by two names; a budget of nothing wins over both.
  const isOn = budget === 0 ? false : (body.enable_thinking ?? variable);
  const implied = reasoningEffort === null ? null : reasoningEffort !== "none";
  return {
    reasoningEffort,
    enableThinking: isOn ?? implied,
    reasoningBudget: budget === -1 ? null : budget,
    templateKwargs: { ...kwargs, ...(isOn !== null && { enable_thinking: isOn }) },
  };
}

/** null is absent here, too: as a variable it would hide what is set for the template. */
function toTemplateKwargs(kwargs: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(kwargs).filter(([, value]) => value !== null));
}

/** Empty strings are dropped: they would match everywhere. */
export function toStops(stop: string | readonly string[] | null): string[] {
  const stops = typeof stop === "string" ? [stop] : (stop ?? []);
  return stops.filter((text) => text !== "").map((text) => text.toWellFormed());
}

/** @throws LmError integer_above_max_value beyond the server's own limit. */
export function toChoices(n: number, maxChoices: number): number {
  if (n > maxChoices) throw outOfRange("n", "integer", "above_max", `<= ${maxChoices}`, n);
  return n;
}

function toMaxTokens(body: ChatCompletionRequest): number | null {
  for (const param of ["max_completion_tokens", "max_tokens", "n_predict"] as const) {
    if (body[param] === 0) throw outOfRange(param, "integer", "below_min", ">= 1", 0);
  }
  const limit = body.max_completion_tokens ?? body.max_tokens ?? body.n_predict ?? -1;
  return limit === -1 ? null : limit;
}

function toLogprobs(body: ChatCompletionRequest): number | null {
  const wanted = body.logprobs ?? false;
  const top = body.top_logprobs ?? null;
  if (top !== null && !wanted) {
    throw invalidRequest(
      "top_logprobs",
      "invalid_value",
      "Invalid value for 'top_logprobs': it is only allowed when 'logprobs' is true.",
    );
  }
  return wanted ? (top ?? 0) : null;
}
