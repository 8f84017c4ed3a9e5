import { type Arrival, rawPost } from "./raw-post.ts";
import type { Server } from "./servers.ts";

export interface Shape {
  clients: number;
  maxTokens: number;
  promptWords: number;
}

/** What one round of simultaneous clients saw. Times in ms. */
export interface Round {
  tokensPerSecond: number;
  ttftMs: readonly number[];
  interTokenMs: readonly number[];
}

/** What one client saw. */
export interface Stream {
  /** Of each chunk with text, in ms after the request was sent. */
  arrivalsMs: readonly number[];
  text: string;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** Every client streams one completion of its own prompt; all start together. */
export async function runStreams(server: Server, shape: Shape, index: number): Promise<Round> {
  const { clients, promptWords, maxTokens } = shape;
  const prompts = Array.from({ length: clients }, (_, client) =>
    randomText(promptWords, (clients * 100 + index) * 100 + client),
  );
  return runPrompts(server, prompts, maxTokens);
}

/** One client for each prompt; all start together. */
export async function runPrompts(
  server: Server,
  prompts: readonly string[],
  maxTokens: number,
): Promise<Round> {
  const started = performance.now();
  const streams = await Promise.all(
    prompts.map((prompt) => streamCompletion(server, prompt, maxTokens)),
  );
  const seconds = (performance.now() - started) / 1000;
  const tokens = streams.reduce((total, { completionTokens }) => total + completionTokens, 0);
  return {
    tokensPerSecond: tokens / seconds,
    ttftMs: streams.map(({ arrivalsMs }) => arrivalsMs[0] ?? Number.NaN),
    interTokenMs: streams.flatMap(({ arrivalsMs }) => gaps(arrivalsMs)),
  };
}

/** Times between neighbours. */
export function gaps(arrivalsMs: readonly number[]): number[] {
  return arrivalsMs.slice(1).map((at, i) => at - (arrivalsMs[i] ?? at));
}

/**
 * Streams one greedy completion that no end token ends.
 * @param extra more fields of the request's body.
 */
export async function streamCompletion(
  server: Server,
  prompt: string,
  maxTokens: number,
  extra: Readonly<Record<string, unknown>> = {},
): Promise<Stream> {
  const arrivals = await rawPost(`${server.baseUrl}/v1/completions`, {
    model: server.model,
    prompt,
    max_tokens: maxTokens,
    temperature: 0,
    ignore_eos: true,
    stream: true,
    stream_options: { include_usage: true },
    ...extra,
  });
  const arrivalsMs: number[] = [];
  let text = "";
  let usage: Usage = { prompt_tokens: 0, completion_tokens: 0 };
  for (const { atMs, chunk } of chunksOf(arrivals)) {
    if (chunk.error !== undefined) throw new Error(chunk.error.message);
    const piece = chunk.choices?.[0]?.text ?? "";
    if (piece !== "") arrivalsMs.push(atMs);
    text += piece;
    usage = chunk.usage ?? usage;
  }
  return {
    arrivalsMs,
    text,
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    completionTokens: usage.completion_tokens,
  };
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number } | null;
}

interface Chunk {
  choices?: { text: string }[];
  usage?: Usage | null;
  error?: { message: string };
}

/** The events of a stream with the times of their arrival, up to its end mark. */
function* chunksOf(arrivals: readonly Arrival[]): Generator<{ atMs: number; chunk: Chunk }> {
  let buffered = "";
  const decoder = new TextDecoder();
  for (const { atMs, bytes } of arrivals) {
    buffered += decoder.decode(bytes, { stream: true });
    const frames = buffered.split("\n\n");
    buffered = frames.pop() ?? "";
    for (const frame of frames) {
      if (frame.startsWith("data: {")) yield { atMs, chunk: JSON.parse(frame.slice(6)) as Chunk };
    }
  }
}

const WORDS = "river stone paper light seven green window market letter garden silver winter".split(
  " ",
);

/**
 * Words drawn by a small generator (mulberry32), so that no two texts share a long prefix. A word is
 * about one token.
 */
export function randomText(words: number, seed: number): string {
  let state = seed | 0;
  return Array.from({ length: words }, () => {
    state = (state + 0x6d2b_79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return WORDS[((bits ^ (bits >>> 14)) >>> 0) % WORDS.length];
  }).join(" ");
}
