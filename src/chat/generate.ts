import type { Catalog } from "../catalog/model.ts";
import { assert } from "../lib/assert.ts";
import type { Lease, Pool } from "../pool/pool.ts";
import type { GenerateJob, GrammarSpec, JobPrompt } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import type {
  Generate,
  GenerateEvent,
  GenerateRequest,
  RawPrompt,
  RenderChat,
  RenderedChat,
} from "./events.ts";
import { resolveModel, type ResolveOptions } from "./resolve-model.ts";
import type { ChatTemplates } from "./chat-templates.ts";

/** All that generation needs from the rest of the program. */
export interface GenerateDeps {
  catalog: Pick<Catalog, "find" | "list">;
  pool: Pick<Pool, "acquire" | "instances">;
  resolve: ResolveOptions;
  templates: ChatTemplates;
}

/** The one door to generation: resolves the model, renders, runs the job, reads the answer. */
export function createGenerate(deps: GenerateDeps): Generate {
  return async function* generate(request, signal) {
    const lease = await leaseFor(deps, request, signal);
    try {
      const { prompt, grammar } = await promptOf(deps, lease, request, signal);
      const job = jobOf(request, prompt, grammar);
      yield* readEvents(lease.generate(job, signal), lease.identifier);
    } finally {
      lease.release();
    }
  };
}

/** The prompt of a chat request and its length in tokens, without generating. */
export function createRenderChat(deps: GenerateDeps): RenderChat {
  return async (request, signal): Promise<RenderedChat> => {
    assert(request.input.kind === "chat", "only chat requests are rendered");
    const lease = await leaseFor(deps, request, signal);
    try {
      const { prompt } = await promptOf(deps, lease, request, signal);
      assert(prompt.kind === "text", "a rendered chat is text");
      const tokens = await lease.tokenize(prompt, signal);
      return { model: lease.identifier, prompt: prompt.text, promptTokens: tokens.length };
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

async function promptOf(
  { templates }: GenerateDeps,
  lease: Lease,
  { input }: GenerateRequest,
  signal: AbortSignal,
): Promise<{ prompt: JobPrompt; grammar: GrammarSpec | null }> {
  if (input.kind === "prompt") {
    const { grammar } = input;
    return {
      prompt: rawPrompt(input.prompt),
      grammar: grammar === null ? null : { gbnf: grammar, attach: { kind: "start" } },
    };
  }
  const text = await templates.render(lease, input.messages, input.options, signal);
  return { prompt: { kind: "text", text, addSpecial: true, parseSpecial: true }, grammar: null };
}

function rawPrompt(prompt: RawPrompt): JobPrompt {
  if (prompt.kind === "text") return { ...prompt, addSpecial: true, parseSpecial: true };
  return prompt.kind === "tokens" ? { kind: "tokens", tokens: [...prompt.tokens] } : prompt;
}

function jobOf(
  request: GenerateRequest,
  prompt: JobPrompt,
  grammar: GrammarSpec | null,
): GenerateJob {
  return {
    prompt,
    grammar,
    sampling: request.sampling,
    stops: [...request.stops],
    maxTokens: request.maxTokens,
    choices: request.choices,
    logprobs: request.logprobs,
    promptLogprobs: request.promptLogprobs,
    keepSpecial: [],
    cachePrompt: request.cachePrompt,
  };
}

async function* readEvents(
  events: AsyncGenerator<JobEvent, void, void>,
  model: string,
): AsyncGenerator<GenerateEvent, void, void> {
  for await (const event of events) {
    switch (event.type) {
      case "accepted": {
        const { promptTokens, cachedTokens } = event;
        yield { type: "started", model, promptTokens, cachedTokens };
        break;
      }
      case "progress":
        yield { type: "progress", processed: event.processed, total: event.total };
        break;
      case "promptLogprobs":
        yield { type: "promptLogprobs", tokens: event.tokens };
        break;
      case "text": {
        const { choice, text, logprobs } = event;
        if (text === "" && logprobs === undefined) break;
        yield { type: "text", choice, text, logprobs: logprobs ?? null };
        break;
      }
      case "choiceDone": {
        const { choice, finish, stop, completionTokens, meanLogprob } = event;
        const counts = { completionTokens, reasoningTokens: 0, meanLogprob };
        yield { type: "finished", choice, reason: finish, stop, ...counts };
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
