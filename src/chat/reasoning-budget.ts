import type { Clock } from "../lib/clock.ts";
import type { Lease } from "../pool/pool.ts";
import type { GenerateJob, GrammarAttach } from "../protocol/commands.ts";
import type { JobEvent, JobTimings } from "../protocol/events.ts";
import type { ReasoningState } from "./grammar/answer-frame.ts";
import { Stopwatch } from "./stopwatch.ts";
import { tokenTexts } from "./token-texts.ts";

/** How long one answer may think. */
export interface ReasoningBudget {
  /** 0 = reasoning that begins is ended behind its start tag. */
  tokens: number;
  reasoning: ReasoningState;
}

type TextEvent = Extract<JobEvent, { type: "text" }>;

/**
 * A job of one choice whose reasoning is ended after so many tokens: the job is left, and another
 * goes on behind the end tag, which only that tag costs, since the engine keeps what it computed.
 * The events are those of one job; the end tag is told as text, as if the model had written it. A
 * draft model's guesses are those of the second job: one that is left does not tell them.
 */
export async function* generateWithin(
  { tokens: limit, reasoning }: ReasoningBudget,
  generate: Lease["generate"],
  job: GenerateJob & { prompt: { kind: "text" } },
  signal: AbortSignal,
  clock: Clock,
): AsyncGenerator<JobEvent, void, void> {
  const watch = new ReasoningWatch(reasoning);
  const stopwatch = new Stopwatch(clock);
  let written = "";
  let used = 0;
  let last: TextEvent | null = null;
  for await (const event of generate(job, signal)) {
    stopwatch.observe(event);
    if (event.type !== "text") {
      yield event;
      continue;
    }
    const texts = tokenTexts(event);
    const end = texts.findIndex((text) => {
      watch.push(text);
      return watch.isInside && watch.tokens >= limit;
    });
    if (end !== -1) last = headOf(event, texts.slice(0, end + 1));
    const told = last ?? event;
    yield told;
    written += told.text;
    used += told.tokens;
    if (last !== null) break;
  }
  if (last === null) return;
  const left = stopwatch.timings();
  const { jobId, choice } = last;
  yield { type: "text", jobId, choice, text: reasoning.end, tokens: 0 };
  const { prompt, maxTokens, grammar } = job;
  const next: GenerateJob = {
    ...job,
    prompt: { ...prompt, text: prompt.text + written + reasoning.end },
    maxTokens: maxTokens === null ? null : maxTokens - used,
    grammar: grammar && { ...grammar, attach: behindReasoning(grammar.attach) },
  };
  for await (const event of generate(next, signal)) {
    if (event.type === "accepted" || event.type === "progress") continue;
    if (event.type === "choiceDone") {
      yield { ...event, completionTokens: event.completionTokens + used };
    } else if (event.type === "jobDone") yield { ...event, timings: together(left, event.timings) };
    else yield event;
  }
}

/** Times of both jobs; the second's wait for a slot counts as that of a job that is requeued does. */
const together = (left: JobTimings, { ttftMs, decodeMs, ...rest }: JobTimings): JobTimings => ({
  ...rest,
  ...left,
  decodeMs: left.decodeMs + ttftMs + decodeMs,
});

/** The first tokens of an event, with which reasoning ends: scores of it are never told. */
function headOf(event: TextEvent, texts: readonly string[]): TextEvent {
  return {
    ...event,
    text: texts.join(""),
    tokens: texts.length,
    sizes: texts.map(({ length }) => length),
    ...(event.logprobs !== undefined && { logprobs: [] }),
  };
}

/** Where a grammar begins when the prompt already holds the end of the reasoning. */
function behindReasoning(attach: GrammarAttach): GrammarAttach {
  if (attach.kind === "marker") return { ...attach, reasoning: null };
  return { kind: "start" };
}

/** Counts the tokens of an answer's reasoning, the first of several blocks. */
class ReasoningWatch {
  readonly #tags: ReasoningState;
  #state: "before" | "inside" | "over";
  #text = "";
  #tokens = 0;

  constructor(reasoning: ReasoningState) {
    this.#tags = reasoning;
    const { state } = reasoning;
    this.#state = state === "open" ? "inside" : state === "closed" ? "over" : "before";
  }

  get isInside(): boolean {
    return this.#state === "inside";
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** @param text What the next token brought. */
  push(text: string): void {
    if (this.#state === "over") return;
    this.#text += text;
    this.#tokens++;
    if (this.#state === "before") this.#lookForStart();
    if (this.#state !== "inside") return;
    // Only what may still become the end tag is kept.
    if (this.#text.includes(this.#tags.end)) this.#state = "over";
    else this.#text = this.#text.slice(-this.#tags.end.length);
  }

  #lookForStart(): void {
    const { start } = this.#tags;
    const begun = this.#text.trimStart();
    if (begun.startsWith(start)) {
      this.#state = "inside";
      this.#text = begun.slice(start.length);
    } else if (!start.startsWith(begun)) this.#state = "over";
  }
}
