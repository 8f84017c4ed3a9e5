import type { Catalog, CatalogModel } from "../catalog/model.ts";
import { assert } from "../lib/assert.ts";
import type { Lease, Pool } from "../pool/pool.ts";
import type { GenerateJob, GrammarSpec, JobPrompt } from "../protocol/commands.ts";
import { DEFAULT_SAMPLING, type Sampling } from "../protocol/sampling.ts";
import { type AnswerCheck, answerCheck, warningText } from "./answer-check.ts";
import type { ChatTemplates } from "./chat-templates.ts";
import { FormatDetector } from "./detection/format-detector.ts";
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
import { type ChatKnowledge, prepareChat } from "./prepare-chat.ts";
import { readGeneration } from "./read-generation.ts";
import { resolveModel, type ResolveOptions } from "./resolve-model.ts";

/** All that generation needs from the rest of the program. */
export interface GenerateDeps {
  catalog: Pick<Catalog, "find" | "list">;
  pool: Pick<Pool, "acquire" | "instances">;
  resolve: ResolveOptions;
  templates: ChatTemplates;
  /** Sampling of a model where a request says nothing; absent = the defaults. */
  samplingOf?: (model: CatalogModel) => Partial<Sampling>;
}

/** What a request becomes: a prompt with its constraints, and how the output is read. */
interface Prepared {
  prompt: JobPrompt;
  grammar: GrammarSpec | null;
  keepSpecial: readonly string[];
  /** Texts that end an answer of the model's family, besides the request's own. */
  textStops: readonly string[];
  warnings: readonly string[];
  createParser(): Parser;
  check: AnswerCheck | null;
}

/** The one door to generation: resolves the model, renders, runs the job, reads the answer. */
export function createGenerate(deps: GenerateDeps): Generate {
  const knowledge = { templates: deps.templates, detector: new FormatDetector() };
  return async function* generate(request, signal) {
    const lease = await leaseFor(deps, request, signal);
    try {
      const prepared = await prepare(knowledge, lease, request, signal);
      const sampling = {
        ...DEFAULT_SAMPLING,
        ...deps.samplingOf?.(lease.model),
        ...request.sampling,
      };
      const events = lease.generate(jobOf(request, prepared, sampling), signal);
      const { choices, stops } = request;
      yield* readGeneration(events, { ...prepared, model: lease.identifier, choices, stops });
    } finally {
      lease.release();
    }
  };
}

/** The prompt of a chat request and its length in tokens, without generating. */
export function createRenderChat(deps: GenerateDeps): RenderChat {
  return async ({ input, ...request }, signal): Promise<RenderedChat> => {
    assert(input.kind === "chat", "only chat requests are rendered");
    const lease = await leaseFor(deps, { input, ...request }, signal);
    try {
      const text = await deps.templates.render(lease, input.messages, input.options, signal);
      const tokens = await lease.tokenize(textPrompt(text), signal);
      return { model: lease.identifier, prompt: text, promptTokens: tokens.length };
    } finally {
      lease.release();
    }
  };
}

async function leaseFor(
  deps: GenerateDeps,
  request: GenerateRequest,
  signal: AbortSignal,
): Promise<Lease> {
  const model = await resolveModel(deps, request.model, "llm", deps.resolve);
  const { ttlSeconds } = request;
  return deps.pool.acquire(model, signal, {
    name: request.model,
    ttlMs: ttlSeconds === null ? null : ttlSeconds * 1000,
  });
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
  { input }: GenerateRequest,
  signal: AbortSignal,
): Promise<Prepared> {
  if (input.kind === "chat") {
    const chat = await prepareChat(knowledge, lease, input.messages, input.options, signal);
    return { ...chat, prompt: textPrompt(chat.prompt) };
  }
  const { grammar, warnings } = planFormat(input.format);
  return {
    prompt: rawPrompt(input.prompt),
    grammar,
    keepSpecial: [],
    textStops: [],
    warnings: warnings.map(warningText),
    createParser: createPlainParser,
    check: answerCheck(input.format, [], warnings),
  };
}

/** Everything is text. */
const createPlainParser = (): Parser =>
  createParser({ format: null, reasoning: null, tools: [], parallel: true, newId: () => "" });

function rawPrompt(prompt: RawPrompt): JobPrompt {
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
    keepSpecial: [...prepared.keepSpecial],
    cachePrompt: request.cachePrompt,
    cacheScope: request.cacheScope,
    ...(request.adapters !== undefined && { adapters: [...request.adapters] }),
  };
}
