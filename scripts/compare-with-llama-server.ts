/**
 * Compares our answers with llama.cpp's own server, token by token: greedy text and the logarithms of
 * the best probabilities, for twenty prompts of one model.
 *
 * bun scripts/compare-with-llama-server.ts --peer PATH_OF_LLAMA_SERVER [--model FILE.gguf]
 *   [--executable dist/lmserver] [--tolerance 0.02]
 *
 * Ends with 0 when every text is equal and no logarithm differs by more than the tolerance. Both sides
 * compute with floats whose order of summation depends on the processor variant, hence not 0.
 */
import { parseArgs } from "node:util";
import { startLlamaServer, startOurs } from "./bench/servers.ts";

const { values } = parseArgs({
  options: {
    peer: { type: "string" },
    model: { type: "string", default: "src/assets/demo.gguf" },
    executable: { type: "string", default: "dist/lmserver" },
    tolerance: { type: "string", default: "0.02" },
  },
});
if (values.peer === undefined) throw new Error("give --peer, the path of a llama-server");

const PROMPTS = [
  ..."The quick brown fox|Once upon a time|2 + 2 =|Hello|The capital of France is".split("|"),
  ..."Count to 5.|JSON:|a|1, 2, 3,|Tell me a story about a cat".split("|"),
  ..."What is 7 + 8?|Say: red house|My name is Ada.|Paris|\n\n".split("|"),
  ...'Ünïcödé 漢字 🙂|def main():|He said: "no"|   spaces   |<|im_start|>user\nHi'.split("|", 4),
  "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
];
const TOKENS = 24;
const BEST = 5;

interface Step {
  token: string;
  logprob: number;
  top: number[];
}

const options = { model: values.model, parallel: 1, context: 2048 };
const ours = await startOurs(values.executable, options);
const peer = await startLlamaServer(values.peer, options);
try {
  let different = 0;
  let largest = 0;
  for (const prompt of PROMPTS) {
    const [mine, theirs] = await Promise.all([askOurs(prompt), askPeer(prompt)]);
    const sameText = text(mine) === text(theirs);
    const distance = Math.max(0, ...mine.map((step, i) => distanceOf(step, theirs[i])));
    if (!sameText) different += 1;
    if (sameText) largest = Math.max(largest, distance);
    console.log(
      `${sameText ? "equal    " : "DIFFERENT"} ${distance.toExponential(1)} ${JSON.stringify(prompt)}`,
    );
    if (!sameText)
      console.log(`  ours ${JSON.stringify(text(mine))}\n  peer ${JSON.stringify(text(theirs))}`);
  }
  console.log(
    `${PROMPTS.length - different} of ${PROMPTS.length} texts equal, ` +
      `largest difference of a log probability ${largest.toExponential(2)}`,
  );
  process.exitCode = different === 0 && largest <= Number(values.tolerance) ? 0 : 1;
} finally {
  await ours.stop();
  await peer.stop();
}

async function askOurs(prompt: string): Promise<Step[]> {
  const body = { model: ours.model, prompt, max_tokens: TOKENS, temperature: 0, logprobs: BEST };
  const { choices } = (await ask(`${ours.baseUrl}/v1/completions`, body)) as {
    choices: {
      logprobs: {
        tokens: string[];
        token_logprobs: number[];
        top_logprobs: Record<string, number>[];
      };
    }[];
  };
  const { tokens, token_logprobs: logprobs, top_logprobs: top } = choices[0]!.logprobs;
  return tokens.map((token, i) => ({
    token,
    logprob: logprobs[i]!,
    top: Object.values(top[i]!).toSorted((a, b) => b - a),
  }));
}

async function askPeer(prompt: string): Promise<Step[]> {
  const body = { prompt, n_predict: TOKENS, temperature: 0, n_probs: BEST, cache_prompt: false };
  const answer = (await ask(`${peer.baseUrl}/completion`, body)) as {
    content: string;
    completion_probabilities: {
      token: string;
      logprob: number;
      top_logprobs: { logprob: number }[];
    }[];
  };
  return answer.completion_probabilities.map(({ token, logprob, top_logprobs: top }) => ({
    token,
    logprob,
    top: top.map((entry) => entry.logprob),
  }));
}

async function ask(url: string, body: unknown): Promise<unknown> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** Largest difference between the best probabilities' logarithms of one step. */
function distanceOf(mine: Step, theirs: Step | undefined): number {
  if (theirs === undefined) return 0; // the peer lists its end token, we do not
  const pairs = mine.top
    .slice(0, BEST)
    .map((value, i) => Math.abs(value - (theirs.top[i] ?? value)));
  return Math.max(Math.abs(mine.logprob - theirs.logprob), ...pairs);
}

/** Joined text without control tokens, which each side shows in its own way. */
function text(steps: readonly Step[]): string {
  return steps
    .map(({ token }) => token)
    .filter((token) => !/^<[^>]*>$/.test(token))
    .join("");
}
