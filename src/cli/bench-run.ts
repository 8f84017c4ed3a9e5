import { defined } from "../lib/assert.ts";
import type { Lease } from "../pool/pool.ts";
import type { GenerateJob } from "../protocol/commands.ts";
import { DEFAULT_SAMPLING } from "../protocol/sampling.ts";

/** What so many clients at once saw of one model. */
export interface BenchRun {
  clients: number;
  promptTokens: number;
  /** Generated tokens of all clients per second, the first of each not counted. */
  tokensPerSecond: number;
  /** From the request to its first token; the mean of the clients. */
  ttftMs: number;
}

export interface BenchShape {
  clients: number;
  promptTokens: number;
  answerTokens: number;
  /** Changes the prompts, so that nothing of an earlier run can be reused. */
  seed: number;
}

/** Lets each client ask for one answer, all at once, and waits for all of them. */
export async function benchRun(
  lease: Lease,
  { clients, promptTokens, answerTokens, seed }: BenchShape,
  signal: AbortSignal,
): Promise<BenchRun> {
  const streams = await Promise.all(
    Array.from({ length: clients }, (_, client) => {
      const tokens = randomTokens(promptTokens, lease.info.vocabularySize, seed + client);
      return stream(lease, jobOf(tokens, answerTokens), signal);
    }),
  );
  const firstMs = Math.min(...streams.map((times) => times.firstMs));
  const lastMs = Math.max(...streams.map((times) => times.lastMs));
  const tokens = streams.reduce((sum, { generated }) => sum + generated - 1, 0);
  return {
    clients,
    promptTokens,
    tokensPerSecond: (1_000 * tokens) / (lastMs - firstMs),
    ttftMs: streams.reduce((sum, { ttftMs }) => sum + ttftMs, 0) / clients,
  };
}

async function stream(lease: Lease, job: GenerateJob, signal: AbortSignal) {
  const startMs = performance.now();
  let ttftMs = 0;
  let generated = 0;
  for await (const event of lease.generate(job, signal)) {
    if (event.type === "choiceDone") generated = event.completionTokens;
    if (event.type === "jobDone") ({ ttftMs } = event.timings);
  }
  return { ttftMs, generated, firstMs: startMs + ttftMs, lastMs: performance.now() };
}

/** Greedy, and no end token ends it: the length of the work is what was asked for. */
function jobOf(tokens: number[], maxTokens: number): GenerateJob {
  return {
    prompt: { kind: "tokens", tokens },
    sampling: { ...DEFAULT_SAMPLING, temperature: 0, ignoreEos: true },
    grammar: null,
    stops: [],
    maxTokens,
    choices: 1,
    logprobs: null,
    promptLogprobs: false,
    keepSpecial: [],
    cachePrompt: false,
    cacheScope: "",
  };
}

/** What a token says makes no difference to the time it takes. */
function randomTokens(count: number, vocabularySize: number, seed: number): number[] {
  const words = new Uint32Array(new Bun.CryptoHasher("sha512").update(`${seed}`).digest().buffer);
  let state = defined(words[0], "a digest has words");
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabularySize);
  });
}
