import type { AnswerIssue } from "../../chat/answer-check.ts";
import type { GenerateEvent } from "../../chat/events.ts";
import { defined } from "../../lib/assert.ts";
import type { TokenLogprob } from "../../protocol/events.ts";
import type { MergedEvent } from "../merge-generations.ts";
import { DONE_FRAME } from "../sse.ts";
import { issuesField, issuesText } from "./chat-completions.encode.ts";
import type { DecodedCompletion } from "./completions.decode.ts";
import { appendLogprobs, LegacyLogprobWriter } from "./legacy-logprobs.ts";
import type { Completion, LegacyLogprobs } from "./response.schema.ts";
import { type Stamp, UsageCounter } from "./stamp.ts";

type Finish = "stop" | "length";
type Finished = Extract<GenerateEvent, { type: "finished" }>;
type Merged = AsyncIterable<MergedEvent>;

/** One choice of one prompt while it grows. */
class Draft {
  text = "";
  finish: Finish = "stop";
  meanLogprob = -Infinity;
  schemaIssues: readonly AnswerIssue[] = [];
  readonly logprobs: LegacyLogprobs = {
    tokens: [],
    token_logprobs: [],
    top_logprobs: [],
    text_offset: [],
  };
  readonly #writer = new LegacyLogprobWriter();
  /** Scores of tokens whose text comes with a later event. */
  #waiting: TokenLogprob[] = [];

  /** The prompt in front of the answer. @returns Its scores. */
  echo(text: string, tokens: readonly TokenLogprob[] | null): LegacyLogprobs | null {
    this.text += text;
    if (tokens) return this.#writer.write(tokens, true);
    this.#writer.skip(text);
    return null;
  }

  /** @returns The scores that belong to the text so far, null when there are none. */
  add(text: string, tokens: readonly TokenLogprob[] | null): LegacyLogprobs | null {
    this.text += text;
    if (tokens) this.#waiting.push(...tokens);
    if (text === "" || this.#waiting.length === 0) return null;
    return this.takeWaiting();
  }

  takeWaiting(): LegacyLogprobs | null {
    if (this.#waiting.length === 0) return null;
    const written = this.#writer.write(this.#waiting);
    this.#waiting = [];
    return written;
  }
}

/** The text of prompt tokens, from their bytes. */
function textOf(tokens: readonly TokenLogprob[]): string {
  return new TextDecoder().decode(Uint8Array.from(tokens.flatMap((token) => [...token.bytes])));
}

/**
 * The prompt tokens that are part of the prompt's text: a BOS token that the vocabulary put in front
 * is not.
 */
function echoTokens(
  tokens: readonly TokenLogprob[],
  prompt: string | null,
): readonly TokenLogprob[] {
  const isBosAdded = prompt !== null && tokens.length > 0 && textOf(tokens) !== prompt;
  const rest = tokens.slice(1);
  return isBosAdded && textOf(rest).trimStart() === prompt.trimStart() ? rest : tokens;
}

/** What is sent in front of each choice once it is known; null = not by this event. */
function echoOf(
  decoded: DecodedCompletion,
  source: number,
  event: GenerateEvent,
): { text: string; tokens: readonly TokenLogprob[] | null } | null {
  if (decoded.echoes === null) return null;
  const prompt = decoded.echoes[source] ?? null;
  const waitsForTokens = decoded.requests[source]?.promptLogprobs === true;
  if (event.type === "started" && !waitsForTokens && prompt !== null) {
    return { text: prompt, tokens: null };
  }
  if (event.type !== "promptLogprobs") return null;
  const tokens = decoded.logprobs === null ? null : echoTokens(event.tokens, prompt);
  return { text: prompt ?? textOf(event.tokens), tokens };
}

const wireFinish = (reason: string): Finish => (reason === "length" ? "length" : "stop");

/** Reads all generations to their end and writes them as one `text_completion` object. */
export async function completion(
  events: Merged,
  decoded: DecodedCompletion,
  stamp: Stamp,
): Promise<Completion> {
  const drafts = decoded.requests.map(({ choices }) =>
    Array.from({ length: choices }, () => new Draft()),
  );
  const usage = new UsageCounter();
  let model = "";
  for await (const { source, event } of events) {
    const group = defined(drafts[source], "an event of a prompt nobody sent");
    if (event.type === "started") {
      model = event.model;
      usage.started(event);
    }
    const echo = echoOf(decoded, source, event);
    if (echo) {
      for (const draft of group) {
        const scores = draft.echo(echo.text, echo.tokens);
        if (scores) appendLogprobs(draft.logprobs, scores);
      }
    }
    if (event.type === "text") {
      const draft = defined(group[event.choice], "an event of a choice nobody asked for");
      const scores = draft.add(event.text, event.logprobs);
      if (scores) appendLogprobs(draft.logprobs, scores);
    } else if (event.type === "finished") {
      usage.finished(event);
      finish(defined(group[event.choice], "an event of a choice nobody asked for"), event);
    }
  }
  const choices = drafts.flatMap((group) => best(group, decoded.choices));
  return {
    id: stamp.id,
    object: "text_completion",
    created: stamp.created,
    model,
    system_fingerprint: stamp.fingerprint,
    choices: choices.map((draft, index) => ({
      index,
      text: draft.text,
      logprobs: decoded.logprobs === null ? null : draft.logprobs,
      finish_reason: draft.finish,
      ...issuesField(draft.schemaIssues),
    })),
    usage: usage.toWire(),
  };
}

function finish(draft: Draft, event: Finished): void {
  draft.finish = wireFinish(event.reason);
  draft.meanLogprob = event.meanLogprob ?? -Infinity;
  draft.schemaIssues = event.schemaIssues ?? [];
  const scores = draft.takeWaiting();
  if (scores) appendLogprobs(draft.logprobs, scores);
}

/** The `count` most probable answers, best first; all of them in order when nothing is dropped. */
function best(group: Draft[], count: number): Draft[] {
  if (group.length === count) return group;
  return group.toSorted((a, b) => b.meanLogprob - a.meanLogprob).slice(0, count);
}

/**
 * All generations as `text_completion` frames; the choices of several prompts interleave.
 * @param endOf Further fields of a choice's last frame, each behind a comma.
 */
export async function* completionChunks(
  events: Merged,
  decoded: DecodedCompletion,
  stamp: Stamp,
  endOf: (choice: number) => string,
): AsyncGenerator<string, void, void> {
  const usage = new UsageCounter();
  const drafts = Array.from(
    { length: decoded.requests.length * decoded.choices },
    () => new Draft(),
  );
  const writer = new ChunkWriter(stamp, decoded);
  for await (const { source, event } of events) {
    const first = source * decoded.choices;
    if (event.type === "started") {
      usage.started(event);
      writer.open(event.model);
    }
    const echo = echoOf(decoded, source, event);
    if (echo) {
      for (let index = first; index < first + decoded.choices; index++) {
        const scores = defined(drafts[index], "a choice").echo(echo.text, echo.tokens);
        yield writer.frame(index, echo.text, scores);
      }
    }
    if (event.type !== "text" && event.type !== "finished") continue;
    const index = first + event.choice;
    const draft = defined(drafts[index], "an event of a choice nobody asked for");
    if (event.type === "text") {
      const scores = draft.add(event.text, event.logprobs);
      if (event.text !== "") yield writer.frame(index, event.text, scores);
    } else {
      usage.finished(event);
      yield writer.end(index, draft.takeWaiting(), event, endOf(index));
    }
    draft.text = "";
  }
  if (decoded.includeUsage) yield writer.usage(usage);
  yield DONE_FRAME;
}

/** Frames whose constant parts are written once. */
class ChunkWriter {
  readonly #stamp: Stamp;
  readonly #tail: string;
  readonly #hasLogprobs: boolean;
  #head = "";

  constructor(stamp: Stamp, { includeUsage, logprobs }: DecodedCompletion) {
    this.#stamp = stamp;
    this.#tail = `}]${includeUsage ? ',"usage":null' : ""}`;
    this.#hasLogprobs = logprobs !== null;
  }

  open(model: string): void {
    const { id, created, fingerprint } = this.#stamp;
    const stamp = {
      id,
      object: "text_completion",
      created,
      model,
      system_fingerprint: fingerprint,
    };
    this.#head = `data: ${JSON.stringify(stamp).slice(0, -1)},"choices":[`;
  }

  frame(index: number, text: string, logprobs: LegacyLogprobs | null): string {
    return (
      `${this.#head}{"index":${index},"text":${JSON.stringify(text)},` +
      `"logprobs":${this.#scores(logprobs)},"finish_reason":null${this.#tail}}\n\n`
    );
  }

  /** @param more Further fields of the frame, each behind a comma. */
  end(index: number, logprobs: LegacyLogprobs | null, event: Finished, more: string): string {
    return (
      `${this.#head}{"index":${index},"text":"","logprobs":${this.#scores(logprobs)},` +
      `"finish_reason":"${wireFinish(event.reason)}"${issuesText(event.schemaIssues)}` +
      `${this.#tail}${more}}\n\n`
    );
  }

  #scores(logprobs: LegacyLogprobs | null): string {
    return this.#hasLogprobs && logprobs ? JSON.stringify(logprobs) : "null";
  }

  usage(usage: UsageCounter): string {
    return `${this.#head}],"usage":${JSON.stringify(usage.toWire())}}\n\n`;
  }
}
