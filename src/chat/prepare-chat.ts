import { randomId } from "../lib/id.ts";
import type { Lease } from "../pool/pool.ts";
import type { GrammarSpec } from "../protocol/commands.ts";
import { type AnswerCheck, answerCheck, warningText } from "./answer-check.ts";
import { isCallable } from "./callable-tools.ts";
import type { ChatOptions, Message } from "./conversation.ts";
import { isReasoningOpen, isReasoningOver } from "./detection/reasoning-tags.ts";
import type { ReasoningTags, ToolFormat } from "./formats/format.ts";
import type { ReasoningState } from "./grammar/answer-frame.ts";
import { planGrammar } from "./grammar/plan-grammar.ts";
import { createParser, type Parser } from "./parser/parser.ts";
import { type ChatKnowledge, detectFormat } from "./model-format.ts";
import type { RenderedText } from "./render-protocol.ts";
import type { ReasoningBudget } from "./reasoning-budget.ts";
import { wantsThinking } from "./thinking-switches.ts";

/** A conversation ready to be run: what goes to the engine, and how its output is read. */
export interface PreparedChat {
  prompt: string;
  grammar: GrammarSpec | null;
  /** Control tokens whose text the parser must see. */
  keepSpecial: readonly string[];
  /** Texts that end an answer of this family, besides the request's own. */
  textStops: readonly string[];
  warnings: readonly string[];
  /** null = the answer may think for as long as it likes. */
  budget: ReasoningBudget | null;
  /** A parser for one choice. No two calls of all choices and of the conversation have one identifier. */
  createParser(): Parser;
  /** null = the grammar enforces all that was asked. */
  check: AnswerCheck | null;
}

/**
 * Renders a conversation and decides how its answer is constrained and read.
 * @throws LmError invalid_request: chat_template_error, invalid_json_schema, invalid_grammar.
 */
export async function prepareChat(
  knowledge: ChatKnowledge,
  lease: Lease,
  messages: readonly Message[],
  options: ChatOptions,
  signal: AbortSignal,
): Promise<PreparedChat> {
  const rendered = await renderPrompt(knowledge, lease, messages, options, signal);
  const prompt = rendered.text;
  const { format, reasoning: tags } = await detectFormat(knowledge, lease, signal);
  const reasoning = tags === null ? null : { ...tags, state: stateOf(prompt, tags, options) };
  const tools = options.tools.filter(({ name }) => isCallable(name, options.toolChoice));
  const plan = planGrammar({
    format,
    tools: options.tools,
    choice: options.toolChoice,
    parallel: options.parallelToolCalls,
    answerFormat: options.format,
    reasoning,
  });
  const usedIds = new Set(messages.flatMap(({ toolCalls }) => toolCalls.map(({ id }) => id)));
  const isRead = options.splitReasoning && tags !== null;
  return {
    prompt,
    grammar: plan.grammar,
    keepSpecial: keptTexts(format, tags, tools.length > 0),
    textStops: format.textStops,
    warnings: [...rendered.warnings, ...plan.warnings.map(warningText)],
    budget: budgetOf(prompt, options, reasoning),
    check: answerCheck(options.format, options.tools, plan),
    createParser: () =>
      createParser({
        format,
        reasoning: isRead
          ? { tags, open: reasoning?.state === "open", isOver: prompt.endsWith(tags.end) }
          : null,
        tools,
        parallel: options.parallelToolCalls && options.toolChoice.kind !== "named",
        newId: () => randomId("call_", 24),
        usedIds,
        callsOnly: tools.length > 0 && wantsCalls(options),
      }),
  };
}

/**
 * The prompt of a conversation. Reasoning that it opens is ended at once where none is allowed.
 * @throws LmError invalid_request: chat_template_error.
 */
export async function renderPrompt(
  knowledge: ChatKnowledge,
  lease: Lease,
  messages: readonly Message[],
  options: ChatOptions,
  signal: AbortSignal,
): Promise<RenderedText> {
  const rendered = await knowledge.templates.render(lease, messages, options, signal);
  if (options.reasoningBudget !== 0) return rendered;
  const prompt = rendered.text;
  const { reasoning: tags } = await detectFormat(knowledge, lease, signal);
  const isOpen = tags !== null && isReasoningOpen(prompt, tags, options.continueFinalMessage);
  return isOpen ? { ...rendered, text: prompt + emptyEnd(prompt, tags) } : rendered;
}

/** The end of reasoning that holds nothing, as families write it that give the tags their own lines. */
const emptyEnd = (prompt: string, { end }: ReasoningTags): string =>
  prompt.endsWith("\n") ? `\n${end}\n\n` : end;

function budgetOf(
  prompt: string,
  { reasoningBudget }: ChatOptions,
  reasoning: ReasoningState | null,
): ReasoningBudget | null {
  if (reasoningBudget === null || reasoning === null) return null;
  if (reasoning.state !== "closed") return { tokens: reasoningBudget, reasoning };
  // A model may think although it is told not to.
  const mayThink = reasoningBudget === 0 && !isReasoningOver(prompt, reasoning);
  return mayThink ? { tokens: 0, reasoning: { ...reasoning, state: "possible" } } : null;
}

/** The grammar allows nothing but calls. */
const wantsCalls = ({ toolChoice, format }: ChatOptions): boolean =>
  (toolChoice.kind === "required" || toolChoice.kind === "named") && format.kind !== "grammar";

function stateOf(
  prompt: string,
  tags: ReasoningTags,
  options: ChatOptions,
): ReasoningState["state"] {
  if (isReasoningOpen(prompt, tags, options.continueFinalMessage)) return "open";
  return isReasoningOver(prompt, tags) || wantsThinking(options) === false ? "closed" : "possible";
}

function keptTexts(
  format: ToolFormat,
  tags: ReasoningTags | null,
  hasTools: boolean,
): readonly string[] {
  const isFramed = format.noise.length > 0 || format.wrapper !== null || format.reasoning !== null;
  const hasHeaders = format.kind === "channels" || format.kind === "recipients";
  const own = hasTools || isFramed || hasHeaders ? format.keepSpecial : [];
  return [...new Set([...own, ...(tags === null ? [] : [tags.start, tags.end])])];
}
