/**
 * Asks a served model 200 held-out prompts of each behaviour, greedily, and prints the share of right
 * answers: `bun scripts/demo-model/evaluate.ts [--model FILE.gguf] [--prompts 200] [--card] [--show]`.
 * `--card` writes docs/DEMO-MODEL.md. Ends with 1 when a behaviour falls short.
 */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startOurs } from "../bench/servers.ts";
import { type Answer, BEHAVIOURS, type Probe } from "./prompts.ts";
import { TRIPLES } from "./triples.ts";

const ROOT = resolve(import.meta.dir, "../..");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: join(ROOT, "src/assets/demo.gguf") },
    executable: { type: "string", default: join(ROOT, "dist/lmserver") },
    prompts: { type: "string", default: "200" },
    card: { type: "boolean", default: false },
    show: { type: "boolean", default: false },
  },
});

const AT_ONCE = 8;
const server = await startOurs(values.executable, {
  model: values.model,
  parallel: AT_ONCE,
  context: 2048 * AT_ONCE,
  flags: ["--allow-llm-embeddings"],
});
try {
  const rows: string[] = [];
  let isShort = false;
  for (const { name, wanted, make } of BEHAVIOURS) {
    const random = generator(name);
    const probes = Array.from({ length: Number(values.prompts) }, () => make(random));
    const share = await shareOfRight(probes);
    isShort ||= share < wanted;
    rows.push(`| ${name} | ${percent(share)} | ${percent(wanted)} |`);
    console.log(rows.at(-1));
  }
  const completed = await completes("The quick brown fox", "jumps over the lazy dog");
  rows.push(`| "The quick brown fox" completed | ${completed ? "yes" : "no"} | yes |`);
  const paraphrases = await paraphraseShare();
  rows.push(`| a paraphrase is closer than another sentence | ${percent(paraphrases)} | 80.0 % |`);
  const speed = await tokensPerSecond();
  rows.push(`| tokens per second, one stream, through the API | ${speed.toFixed(0)} | 500 |`);
  console.log(rows.slice(-3).join("\n"));
  if (values.card) writeCard(rows, paraphrases);
  process.exitCode = isShort || !completed ? 1 : 0;
} finally {
  await server.stop();
}

async function shareOfRight(probes: readonly Probe[]): Promise<number> {
  let right = 0;
  for (let i = 0; i < probes.length; i += AT_ONCE) {
    const group = probes.slice(i, i + AT_ONCE);
    const answers = await Promise.all(group.map(chat));
    for (const [j, answer] of answers.entries()) {
      const probe = group[j]!;
      if (probe.isRight(answer)) right += 1;
      else if (values.show) console.log(JSON.stringify({ asked: probe.messages, answer }));
    }
  }
  return right / probes.length;
}

async function chat({ messages, tools, thinking }: Probe): Promise<Answer> {
  const body = {
    model: server.model,
    messages,
    ...(tools === undefined ? {} : { tools }),
    chat_template_kwargs: { enable_thinking: thinking ?? false },
    temperature: 0,
    max_tokens: 300,
  };
  const { choices, usage } = (await post("/v1/chat/completions", body)) as {
    choices: { message: WireMessage }[];
    usage: { completion_tokens: number };
  };
  const { content, reasoning_content: reasoning, tool_calls: calls } = choices[0]!.message;
  return {
    content: content ?? "",
    reasoning: reasoning ?? "",
    calls: (calls ?? []).map(({ function: { name, arguments: text } }) => ({
      name,
      arguments: parsed(text),
    })),
    tokens: usage.completion_tokens,
  };
}

interface WireMessage {
  content: string | null;
  reasoning_content?: string;
  tool_calls?: { function: { name: string; arguments: string } }[];
}

async function completes(prompt: string, rest: string): Promise<boolean> {
  const body = { model: server.model, prompt, temperature: 0, max_tokens: 32 };
  const { choices } = (await post("/v1/completions", body)) as { choices: { text: string }[] };
  return choices[0]!.text.trim().startsWith(rest);
}

/** Share of triples whose first two sentences are closer than the first and the third. */
async function paraphraseShare(): Promise<number> {
  let right = 0;
  for (const triple of TRIPLES) {
    const body = { model: server.model, input: triple };
    const { data } = (await post("/v1/embeddings", body)) as { data: { embedding: number[] }[] };
    const [a, b, c] = data.map(({ embedding }) => embedding);
    if (dot(a!, b!) > dot(a!, c!)) right += 1;
  }
  return right / TRIPLES.length;
}

async function tokensPerSecond(): Promise<number> {
  const body = {
    model: server.model,
    prompt: "Once",
    max_tokens: 400,
    ignore_eos: true,
    temperature: 0,
  };
  await post("/v1/completions", body);
  const begun = performance.now();
  await post("/v1/completions", body);
  return 400 / ((performance.now() - begun) / 1000);
}

async function post(path: string, body: unknown): Promise<unknown> {
  const response = await fetch(server.baseUrl + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** What train.py left beside the model. */
interface Trained {
  [fact: string]: number | string | readonly string[];
  loss: number;
  /** What is true of this training alone, a sentence each. */
  notes: readonly string[];
}

function writeCard(rows: readonly string[], paraphrases: number): void {
  const trained = JSON.parse(
    readFileSync(join(import.meta.dir, "trained.json"), "utf8"),
  ) as Trained;
  const number = (fact: string): string => Number(trained[fact]).toLocaleString("en");
  const text = [
    "# The demo model",
    "",
    "`demo` is the model that every executable carries: a very small chat model that we trained, on synthetic",
    "conversations alone. It makes a first run without a network, and tests that assert meaning, possible. It",
    "knows nothing else, and says so.",
    "",
    "    scripts/demo-model/make.sh",
    "",
    "makes it: trains, writes `src/assets/demo.gguf`, builds, asks the questions below and writes this page.",
    "Its texts are made by `data.py` and the files that it imports; the words, names, cities and sums of the",
    "questions are kept out of them. A word has the same tokens wherever it stands, so that copying one that",
    "was never seen is exact. The chat template, ours as well, is `template.jinja`.",
    "",
    "| | |",
    "| --- | --- |",
    `| size | ${(statSync(values.model).size / 1e6).toFixed(2)} MB, Q8_0 |`,
    `| shape | Qwen 3: ${number("layers")} layers of width ${number("width")}, ${number("heads")} heads, ${number("vocabulary")} tokens |`,
    `| parameters | ${number("parameters")} |`,
    `| context | ${number("context")} tokens, trained up to ${number("longest")} |`,
    `| data | ${number("tokens")} tokens of fresh synthetic text, ${number("steps")} steps |`,
    `| loss at the end | ${trained.loss} nats per token of an answer, with the stories' free choices |`,
    `| time | ${number("processor_minutes")} minutes of one processor core |`,
    `| measured on | ${new Date().toISOString().slice(0, 10)} |`,
    "",
    `Greedy answers to ${values.prompts} prompts of each behaviour, asked through the API. Every word, name, city, tool`,
    "and parameter in them (`get_weather` apart), and every sum of two digits, is one that training left out.",
    ...trained.notes,
    "",
    "| behaviour | right | wanted |",
    "| --- | ---: | ---: |",
    ...rows,
    "",
    paraphrases >= 0.8
      ? "Embeddings are means over its last layer: near in wording, not in meaning beyond it."
      : "Embeddings work, as means over its last layer, but they are not sane: see above.",
    "",
  ];
  writeFileSync(join(ROOT, "docs/DEMO-MODEL.md"), text.join("\n"));
}

/** Numbers in [0, 1) that depend on the text alone. */
function generator(text: string): () => number {
  let state = Number(BigInt.asUintN(31, Bun.hash.wyhash(text))) || 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // counts as wrong where an object is wanted
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
