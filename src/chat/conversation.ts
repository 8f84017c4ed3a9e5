/** A conversation free of any wire dialect. Every dialect decodes into these types. */

export type MessageRole = "system" | "developer" | "user" | "assistant" | "tool";

/** One piece of a message. Images come with vision support; until then `text` is the only kind. */
export type ContentPart = { type: "text"; text: string };

export interface ToolCall {
  id: string;
  name: string;
  /** JSON text as the client sent it; may be unparsable, which is not an error. */
  arguments: string;
}

export interface Message {
  role: MessageRole;
  /** null = known absent (an assistant turn of tool calls only). */
  content: readonly ContentPart[] | null;
  /** Thinking text of an earlier assistant turn, for templates that want it. */
  reasoning: string | null;
  toolCalls: readonly ToolCall[];
  /** The call a `tool` message answers. */
  toolCallId: string | null;
  name: string | null;
}

/** A function the model may call. `parameters` is a JSON Schema object. */
export interface Tool {
  name: string;
  description: string | null;
  parameters: Readonly<Record<string, unknown>> | null;
  /** Arguments are constrained to the schema. */
  strict: boolean;
}

/**
 * `required`: at least one call. `named`: exactly one call of that tool. `allowed` limits calls to
 * those tools while all stay visible; null = all.
 */
export type ToolChoice =
  | { kind: "none" }
  | { kind: "auto"; allowed: readonly string[] | null }
  | { kind: "required"; allowed: readonly string[] | null }
  | { kind: "named"; name: string };

/** What the answer must look like. Schemas are JSON Schema values. */
export type AnswerFormat =
  | { kind: "text" }
  | { kind: "json"; schema: unknown; strict: boolean }
  | { kind: "grammar"; gbnf: string };

export type ReasoningEffort = "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max";

/** How a conversation becomes a prompt. */
export interface ChatOptions {
  tools: readonly Tool[];
  toolChoice: ToolChoice;
  /** false = at most one call per answer. */
  parallelToolCalls: boolean;
  format: AnswerFormat;
  /** null = the model's default. */
  reasoningEffort: ReasoningEffort | null;
  enableThinking: boolean | null;
  /** Reasoning is ended after so many tokens; 0 = the answer has none; null = no limit. */
  reasoningBudget: number | null;
  /** false leaves thinking tags inside the text. */
  splitReasoning: boolean;
  /** Extra variables for the template. */
  templateKwargs: Readonly<Record<string, unknown>>;
  addGenerationPrompt: boolean;
  /** The last message is an assistant turn to be continued. */
  continueFinalMessage: boolean;
}

export const DEFAULT_CHAT_OPTIONS: ChatOptions = Object.freeze({
  tools: [],
  toolChoice: { kind: "none" } as const,
  parallelToolCalls: true,
  format: { kind: "text" } as const,
  reasoningEffort: null,
  enableThinking: null,
  reasoningBudget: null,
  splitReasoning: true,
  templateKwargs: {},
  addGenerationPrompt: true,
  continueFinalMessage: false,
});
