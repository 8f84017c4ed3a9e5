import { randomId } from "../lib/id.ts";
import type { Lease } from "../pool/pool.ts";
import { waitFor } from "../pool/wait.ts";
import type { GrammarSpec } from "../protocol/commands.ts";
import { type AnswerCheck, answerCheck, warningText } from "./answer-check.ts";
import { type ChatTemplates, templateOf } from "./chat-templates.ts";
import type { ChatOptions, Message, Tool } from "./conversation.ts";
import type { DetectedFormat } from "./detection/detect-format.ts";
import type { FormatDetector } from "./detection/format-detector.ts";
import { isReasoningOpen, REASONING_TAG_TEXTS } from "./detection/reasoning-tags.ts";
import type { ReasoningTags, ToolFormat } from "./formats/format.ts";
import type { ReasoningState } from "./grammar/answer-frame.ts";
import { planGrammar } from "./grammar/plan-grammar.ts";
import { createParser, type Parser } from "./parser/parser.ts";
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
  /** A parser for one choice. */
  createParser(): Parser;
  /** null = the grammar enforces all that was asked. */
  check: AnswerCheck | null;
}

export interface ChatKnowledge {
  templates: ChatTemplates;
  detector: FormatDetector;
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
  const prompt = await knowledge.templates.render(lease, messages, options, signal);
  const { format, reasoning: tags } = await detectFormat(knowledge, lease, signal);
  const reasoning = tags === null ? null : { ...tags, state: stateOf(prompt, tags, options) };
  const tools = callable(options);
  const { grammar, warnings } = planGrammar({
    format,
    tools: options.tools,
    choice: options.toolChoice,
    parallel: options.parallelToolCalls,
    answerFormat: options.format,
    reasoning,
  });
  const isRead = options.splitReasoning && tags !== null;
  return {
    prompt,
    grammar,
    keepSpecial: keptTexts(format, tags, tools.length > 0),
    textStops: format.textStops,
    warnings: warnings.map(warningText),
    budget: budgetOf(options, reasoning),
    check: answerCheck(options.format, options.tools, warnings),
    createParser: () =>
      createParser({
        format,
        reasoning: isRead ? { tags, open: reasoning?.state === "open" } : null,
        tools,
        parallel: options.parallelToolCalls && options.toolChoice.kind !== "named",
        newId: () => randomId("call_", 24),
      }),
  };
}

function budgetOf(
  { reasoningBudget }: ChatOptions,
  reasoning: ReasoningState | null,
): ReasoningBudget | null {
  const hasLimit = reasoningBudget !== null && reasoning !== null && reasoning.state !== "closed";
  return hasLimit ? { tokens: reasoningBudget, reasoning } : null;
}

/** Found once per template and vocabulary. */
async function detectFormat(
  { templates, detector }: ChatKnowledge,
  lease: Lease,
  signal: AbortSignal,
): Promise<DetectedFormat> {
  const single = await singleTokens(lease, signal);
  const source = templateOf(lease.model);
  return detector.detect(
    {
      source,
      render: (messages, options) => templates.renderProbe(source, messages, options),
      isSingleToken: (text) => single.has(text),
    },
    lease.model.path,
  );
}

/** By model file, as a reload may bring another vocabulary to the same path. */
const knownTokens = new WeakMap<Lease["info"], Promise<ReadonlySet<string>>>();

/**
 * The reasoning tags that are one token of the model's vocabulary. Requests that come together wait
 * for the first one's answer; when that one is cancelled the next asks itself.
 */
async function singleTokens(lease: Lease, signal: AbortSignal): Promise<ReadonlySet<string>> {
  for (;;) {
    const known = knownTokens.get(lease.info);
    if (known === undefined) break;
    try {
      return await waitFor(known, signal);
    } catch {
      signal.throwIfAborted();
    }
  }
  const found = countTokens(lease, signal);
  knownTokens.set(lease.info, found);
  found.catch(() => knownTokens.delete(lease.info));
  return await found;
}

async function countTokens(lease: Lease, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const single = new Set<string>();
  await Promise.all(
    REASONING_TAG_TEXTS.map(async (text) => {
      const prompt = { kind: "text", text, addSpecial: false, parseSpecial: true } as const;
      const tokens = await lease.tokenize(prompt, signal);
      if (tokens.length === 1) single.add(text);
    }),
  );
  return single;
}

/** The tools a call may name. */
function callable({ tools, toolChoice }: ChatOptions): readonly Tool[] {
  if (toolChoice.kind === "none") return [];
  if (toolChoice.kind === "named") return tools.filter((tool) => tool.name === toolChoice.name);
  const { allowed } = toolChoice;
  return allowed === null ? tools : tools.filter((tool) => allowed.includes(tool.name));
}

function stateOf(
  prompt: string,
  tags: ReasoningTags,
  options: ChatOptions,
): ReasoningState["state"] {
  if (isReasoningOpen(prompt, tags, options.continueFinalMessage)) return "open";
  const isOver = prompt.trimEnd().endsWith(tags.end.trimEnd());
  return isOver || wantsThinking(options) === false ? "closed" : "possible";
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
