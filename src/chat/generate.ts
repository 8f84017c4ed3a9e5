import type { Catalog, CatalogModel } from "../catalog/model.ts";
import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { DRAFT_LIMITS, type Lease, type Pool } from "../pool/pool.ts";
import type { GenerateJob, GrammarSpec, JobPrompt } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../protocol/sampling.ts";
import { type AnswerCheck, answerCheck, warningText } from "./answer-check.ts";
import type { Message } from "./conversation.ts";
import type {
  Generate,
  GenerateRequest,
  OwnedRequest,
  RawPrompt,
  RenderChat,
  RenderedChat,
} from "./events.ts";
import { planFormat } from "./grammar/plan-grammar.ts";
import { createParser, type Parser } from "./parser/parser.ts";
import type { ChatKnowledge } from "./model-format.ts";
import { prepareChat, renderPrompt } from "./prepare-chat.ts";
import { readGeneration } from "./read-generation.ts";
import { generateWithin, type ReasoningBudget } from "./reasoning-budget.ts";
import { resolveDraft } from "./resolve-draft.ts";
import { resolveModel, type ResolveOptions } from "./resolve-model.ts";

/** All that generation needs from the rest of the program. */
export interface GenerateDeps extends ChatKnowledge {
  catalog: Pick<Catalog, "find" | "list">;
  pool: Pick<Pool, "acquire" | "instances">;
  resolve: ResolveOptions;
  clock: Clock;
  /** How a model answers where a request says nothing. */
  defaultsOf: (model: CatalogModel) => ModelDefaults;
}

/** What a request leaves open, for one model. */
export interface ModelDefaults {
  sampling: Partial<Sampling>;
  /** Texts that end every answer, besides the request's own. */
  stops: readonly string[];
  /** For conversations without a system message; null = none. */
  system: string | null;
}

/** What a request becomes: a prompt with its constraints, and how the output is read. */
interface Prepared {
  prompt: JobPrompt;
  grammar: GrammarSpec | null;
  keepSpecial: readonly string[];
  /** Texts that end an answer of the model's family, besides the request's own. */
  textStops: readonly string[];
  warnings: readonly string[];
  budget: ReasoningBudget | null;
  createParser(): Parser;
  check: AnswerCheck | null;
}

/** The one door to generation: resolves the model, renders, runs the job, reads the answer. */
export function createGenerate(deps: GenerateDeps): Generate {
  return async function* generate(request, signal) {
    const lease = await leaseFor(deps, request, signal);
    try {
      yield { type: "assigned", model: lease.identifier, key: lease.model.key };
      const defaults = deps.defaultsOf(lease.model);
      const ready = await prepare(deps, lease, request, defaults, signal);
      const warnings = [...ready.warnings, ...(await draftWarnings(deps, request, lease))];
      const prepared = { ...ready, warnings };
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
    const lease = await leaseFor(deps, { input, ...request }, signal);
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

/** The model of a request, loaded. The caller releases the lease. */
export async function leaseFor(
  deps: GenerateDeps,
  request: GenerateRequest,
  signal: AbortSignal,
): Promise<Lease> {
  const model = await resolveModel(deps, request.model, "llm", deps.resolve);
  const { ttlSeconds, contextLength = null } = request;
  const draft = await draftFor(deps, request, model);
  return deps.pool.acquire(model, signal, {
    name: request.model,
    contextLength,
    ttlMs: ttlSeconds === null ? null : ttlSeconds * 1000,
    ...(draft !== null && { settings: { draft: { ...DRAFT_LIMITS, model: draft } } }),
  });
}

async function draftFor(
  { catalog }: GenerateDeps,
  { draftModel }: GenerateRequest,
  main: CatalogModel,
): Promise<CatalogModel | null> {
  return draftModel == null || draftModel === ""
    ? null
    : await resolveDraft(catalog, draftModel, main);
}

/** A draft model is loaded together with its model, not later. */
async function draftWarnings(
  deps: GenerateDeps,
  request: GenerateRequest,
  lease: Lease,
): Promise<string[]> {
  const draft = await draftFor(deps, request, lease.model);
  const loaded = lease.info.draftModel ?? null;
  if (draft === null || draft.key === loaded) return [];
  const beside = loaded === null ? "without a draft model" : `with the draft model "${loaded}"`;
  return [`draftModel: it is ignored, since "${lease.identifier}" is loaded ${beside}.`];
}

/** Control-token text counts as the token: prompts are written with it. */
const textPrompt = (text: string): JobPrompt => ({
  kind: "text",
  text,
  addSpecial: true,
  parseSpecial: true,
});

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

/** A prompt that no template wrote, for the engine. */
export function rawPrompt(prompt: RawPrompt): JobPrompt {
  if (prompt.kind === "text") return textPrompt(prompt.text);
  return prompt.kind === "tokens" ? { kind: "tokens", tokens: [...prompt.tokens] } : prompt;
}

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
