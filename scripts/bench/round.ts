import type { Server } from "./servers.ts";

export interface Shape {
  clients: number;
  maxTokens: number;
  promptWords: number;
}

/** What one round of simultaneous clients saw. Times in ms. */
export interface Round {
  server: string;
  clients: number;
  tokensPerSecond: number;
  ttftMs: readonly number[];
  interTokenMs: readonly number[];
}

/** Every client streams one completion of its own prompt; all start together. */
export async function runRound(server: Server, shape: Shape, index: number): Promise<Round> {
  const started = performance.now();
  const streams = await Promise.all(
    Array.from({ length: shape.clients }, (_, client) =>
      stream(
        server,
        shape,
        promptOf(shape.promptWords, (shape.clients * 100 + index) * 100 + client),
      ),
    ),
  );
  const seconds = (performance.now() - started) / 1000;
  const tokens = streams.reduce((total, { completionTokens }) => total + completionTokens, 0);
  return {
    server: server.name,
    clients: shape.clients,
    tokensPerSecond: tokens / seconds,
    ttftMs: streams.map(({ arrivalsMs }) => arrivalsMs[0] ?? Number.NaN),
    interTokenMs: streams.flatMap(({ arrivalsMs }) =>
      arrivalsMs.slice(1).map((at, i) => at - (arrivalsMs[i] ?? at)),
    ),
  };
}

async function stream(server: Server, shape: Shape, prompt: string) {
  const begun = performance.now();
  const response = await fetch(`${server.baseUrl}/v1/completions`, {
    method: "POST",
    // A connection that a server closed while the other one worked must not be used again.
    keepalive: false,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: server.model,
      prompt,
      max_tokens: shape.maxTokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok || response.body === null) throw new Error(await response.text());
  const arrivalsMs: number[] = [];
  let completionTokens = 0;
  let buffered = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    const now = performance.now() - begun;
    buffered += decoder.decode(bytes, { stream: true });
    const frames = buffered.split("\n\n");
    buffered = frames.pop() ?? "";
    for (const frame of frames) {
      if (!frame.startsWith("data: {")) continue;
      const chunk = JSON.parse(frame.slice(6)) as {
        choices: { text: string }[];
        usage?: { completion_tokens: number } | null;
      };
      if ((chunk.choices[0]?.text ?? "") !== "") arrivalsMs.push(now);
      completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
    }
  }
  return { arrivalsMs, completionTokens };
}

const WORDS = "river stone paper light seven green window market letter garden silver winter".split(
  " ",
);

/** Words drawn by a small generator, so that no two prompts share a long prefix. */
function promptOf(words: number, seed: number): string {
  let state = (seed + 7) * 2_654_435_761;
  return Array.from({ length: words }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return WORDS[Math.abs(state) % WORDS.length];
  }).join(" ");
}
