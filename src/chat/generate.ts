import { assert } from "../lib/assert.ts";
import type { Lease } from "../pool/pool.ts";
import type { GenerateJob, JobPrompt } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../protocol/sampling.ts";
import { answerCheck, warningText } from "./answer-check.ts";
import type { Message } from "./conversation.ts";
import type {
  Generate,
  GenerateRequest,
  OwnedRequest,
  RenderChat,
  RenderedChat,
} from "./events.ts";
import { planFormat } from "./grammar/plan-grammar.ts";
import { type GenerateDeps, leaseModel, type ModelDefaults, modelOf } from "./lease-model.ts";
import type { ChatKnowledge } from "./model-format.ts";
import { createParser, type Parser } from "./parser/parser.ts";
import { type PreparedChat, prepareChat, renderPrompt } from "./prepare-chat.ts";
import { rawPrompt, textPrompt } from "./raw-prompt.ts";
import { readGeneration } from "./read-generation.ts";
import { generateWithin, type ReasoningBudget } from "./reasoning-budget.ts";

/** What a request becomes: a prompt with its constraints, and how the output is read. */
interface Prepared extends Omit<PreparedChat, "prompt"> {
  prompt: JobPrompt;
}

/** The one door to generation: resolves the model, renders, runs the job, reads the answer. */
export function createGenerate(deps: GenerateDeps): Generate {
  return async function* generate(request, signal) {
    const model = await modelOf(deps, request);
    yield { type: "resolved", key: model.key };
    const { lease, warnings } = await leaseModel(deps, model, request, signal);
    try {
      yield { type: "assigned", model: lease.identifier, key: lease.model.key };
      const defaults = deps.defaultsOf(lease.model);
      const ready = await prepare(deps, lease, request, defaults, signal);
      const prepared = { ...ready, warnings: [...ready.warnings, ...warnings] };
      const sampling = { ...DEFAULT_SAMPLING, ...defaults.sampling, ...request.sampling };
      const job = jobOf(request, prepared, sampling);
      const events = eventsOf(deps, lease, job, prepared.budget, signal);
      const { choices, stops } = request;
      const reading = { ...prepared, model: lease.identifier, choices, stops };
      yield* readGeneration(events, reading, deps.clock);
    } finally {
      lease.release();
    }
  };
}

/** A job's events; reasoning is only ended early where there is one choice. */
function eventsOf(
  { clock }: GenerateDeps,
  lease: Lease,
  job: GenerateJob,
  budget: ReasoningBudget | null,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, void, void> {
  const { prompt } = job;
  if (budget === null || job.choices > 1 || prompt.kind !== "text") {
    return lease.generate(job, signal);
  }
  const generate: Lease["generate"] = (next, until) => lease.generate(next, until);
  return generateWithin(budget, generate, { ...job, prompt }, signal, clock);
}

/** The prompt of a chat request and its length in tokens, without generating. */
export function createRenderChat(deps: GenerateDeps): RenderChat {
  return async ({ input, ...request }, signal): Promise<RenderedChat> => {
    assert(input.kind === "chat", "only chat requests are rendered");
    const model = await modelOf(deps, request);
    const { lease } = await leaseModel(deps, model, { input, ...request }, signal);
    try {
      const { system } = deps.defaultsOf(lease.model);
      const messages = withSystem(input.messages, system);
      const { text } = await renderPrompt(deps, lease, messages, input.options, signal);
      const tokens = await lease.tokenize(textPrompt(text), signal);
      return { model: lease.identifier, prompt: text, promptTokens: tokens.length };
    } finally {
      lease.release();
    }
  };
}

async function prepare(
  knowledge: ChatKnowledge,
  lease: Lease,
  { input, choices }: GenerateRequest,
  defaults: ModelDefaults,
  signal: AbortSignal,
): Promise<Prepared> {
  if (input.kind === "chat") {
    const messages = withSystem(input.messages, defaults.system);
    const chat = await prepareChat(knowledge, lease, messages, input.options, signal);
    const textStops = [...chat.textStops, ...defaults.stops];
    const isIgnored = chat.budget !== null && choices > 1;
    const warnings = isIgnored ? [...chat.warnings, BUDGET_IGNORED] : chat.warnings;
    return { ...chat, warnings, prompt: textPrompt(chat.prompt), textStops };
  }
  const plan = planFormat(input.format);
  return {
    prompt: rawPrompt(input.prompt),
    grammar: plan.grammar,
    keepSpecial: [],
    textStops: defaults.stops,
    warnings: plan.warnings.map(warningText),
    budget: null,
    createParser: createPlainParser,
    check: answerCheck(input.format, [], plan),
  };
}

/** The conversation, with the model's own system message when it has none. */
function withSystem(messages: readonly Message[], system: string | null): readonly Message[] {
  if (system === null || messages.some(({ role }) => role === "system" || role === "developer"))
    return messages;
  const content = [{ type: "text", text: system }] as const;
  const facts = { reasoning: null, toolCalls: [], toolCallId: null, name: null };
  return [{ role: "system", content, ...facts }, ...messages];
}

const BUDGET_IGNORED = "reasoningBudget: it is not applied to several choices";

/** Everything is text. */
const createPlainParser = (): Parser =>
  createParser({ format: null, reasoning: null, tools: [], parallel: true, newId: () => "" });

function jobOf(request: OwnedRequest, prepared: Prepared, sampling: Sampling): GenerateJob {
  return {
    prompt: prepared.prompt,
    grammar: prepared.grammar,
    sampling,
    stops: [...new Set([...request.stops, ...prepared.textStops])],
    maxTokens: request.maxTokens,
    choices: request.choices,
    logprobs: request.logprobs,
    promptLogprobs: request.promptLogprobs,
    // Who scores raw prompts counts tokens; of a chat, only those of its text are told.
    ...(request.logprobs !== null && request.input.kind === "prompt" && { hiddenLogprobs: true }),
    keepSpecial: [...prepared.keepSpecial],
    cachePrompt: request.cachePrompt,
    cacheScope: request.cacheScope,
    ...(request.adapters !== undefined && { adapters: [...request.adapters] }),
  };
}
