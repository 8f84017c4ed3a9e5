import type { Catalog } from "../catalog/model.ts";
import { assert, defined } from "../lib/assert.ts";
import type { Lease, Pool } from "../pool/pool.ts";
import type { GenerateJob, GrammarSpec, JobPrompt } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import { AnswerReader, type CheckAnswer } from "./answer-reader.ts";
import type { ChatTemplates } from "./chat-templates.ts";
import { FormatDetector } from "./detection/format-detector.ts";
import type {
  Generate,
  GenerateEvent,
  GenerateRequest,
  RawPrompt,
  RenderChat,
  RenderedChat,
} from "./events.ts";
import { validateGbnf } from "./grammar/validate-gbnf.ts";
import { createParser, type Parser } from "./parser/parser.ts";
import { type ChatKnowledge, prepareChat } from "./prepare-chat.ts";
import { resolveModel, type ResolveOptions } from "./resolve-model.ts";

/** All that generation needs from the rest of the program. */
export interface GenerateDeps {
  catalog: Pick<Catalog, "find" | "list">;
  pool: Pick<Pool, "acquire" | "instances">;
  resolve: ResolveOptions;
  templates: ChatTemplates;
}

/** What a request becomes: a prompt with its constraints, and how the output is read. */
interface Prepared {
  prompt: JobPrompt;
  grammar: GrammarSpec | null;
  keepSpecial: readonly string[];
  stops: readonly string[];
  warnings: readonly string[];
  createParser(): Parser;
  checkAnswer: CheckAnswer | null;
}

/** The one door to generation: resolves the model, renders, runs the job, reads the answer. */
export function createGenerate(deps: GenerateDeps): Generate {
  const knowledge = { templates: deps.templates, detector: new FormatDetector() };
  return async function* generate(request, signal) {
    const lease = await leaseFor(deps, request, signal);
    try {
      const prepared = await prepare(knowledge, lease, request, signal);
      const events = lease.generate(jobOf(request, prepared), signal);
      yield* readEvents(events, lease.identifier, request, prepared);
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
  const { prompt, grammar } = input;
  if (grammar !== null) validateGbnf(grammar, "grammar");
  return {
    prompt: rawPrompt(prompt),
    grammar: grammar === null ? null : { gbnf: grammar, attach: { kind: "start" } },
    keepSpecial: [],
    stops: [],
    warnings: [],
    createParser: createPlainParser,
    checkAnswer: null,
  };
}

/** Everything is text. */
const createPlainParser = (): Parser =>
  createParser({ format: null, reasoning: null, tools: [], parallel: true, newId: () => "" });

function rawPrompt(prompt: RawPrompt): JobPrompt {
  if (prompt.kind === "text") return textPrompt(prompt.text);
  return prompt.kind === "tokens" ? { kind: "tokens", tokens: [...prompt.tokens] } : prompt;
}

function jobOf(request: GenerateRequest, prepared: Prepared): GenerateJob {
  return {
    prompt: prepared.prompt,
    grammar: prepared.grammar,
    sampling: request.sampling,
    stops: [...new Set([...request.stops, ...prepared.stops])],
    maxTokens: request.maxTokens,
    choices: request.choices,
    logprobs: request.logprobs,
    promptLogprobs: request.promptLogprobs,
    keepSpecial: [...prepared.keepSpecial],
    cachePrompt: request.cachePrompt,
  };
}

async function* readEvents(
  events: AsyncGenerator<JobEvent, void, void>,
  model: string,
  request: GenerateRequest,
  prepared: Prepared,
): AsyncGenerator<GenerateEvent, void, void> {
  const readers = Array.from(
    { length: request.choices },
    (_, choice) => new AnswerReader(choice, prepared.createParser(), prepared.checkAnswer),
  );
  const readerOf = (choice: number): AnswerReader =>
    defined(readers[choice], "the engine told of a choice that was not asked for");
  for await (const event of events) {
    switch (event.type) {
      case "accepted": {
        const { promptTokens, cachedTokens } = event;
        const { warnings } = prepared;
        yield { type: "started", model, promptTokens, cachedTokens, warnings };
        break;
      }
      case "progress":
        yield { type: "progress", processed: event.processed, total: event.total };
        break;
      case "promptLogprobs":
        yield { type: "promptLogprobs", tokens: event.tokens };
        break;
      case "text":
        yield* readerOf(event.choice).read(event);
        break;
      case "choiceDone": {
        const { stop } = event;
        const isOwnStop = stop !== null && !request.stops.includes(stop);
        yield* readerOf(event.choice).finish(event, isOwnStop);
        break;
      }
      case "jobDone":
        yield { type: "done", timings: event.timings };
        break;
      default:
        assert(false, `a lease passed on an event that is not of a generation: ${event.type}`);
    }
  }
}
