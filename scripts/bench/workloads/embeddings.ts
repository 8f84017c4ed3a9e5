import { randomText, streamCompletion } from "../streams.ts";
import type { Server } from "../servers.ts";
import { alternate, type Bench, measure, type Measure } from "../workload.ts";

export const options = {
  texts: "1000",
  "per-request": "64",
  "shortest-words": "20",
  "longest-words": "400",
  parallel: "4",
  context: "512",
  /** A model that generates meanwhile, for the second half; none = that half is left out. */
  generator: "",
};

/** Many texts in large requests; then the same beside another model that generates. */
export async function run(bench: Bench): Promise<Measure[]> {
  const context = bench.number("context");
  const generator = bench.option("generator");
  const batch = String(bench.number("parallel") * context);
  const servers = await bench.open({
    parallel: bench.number("parallel"),
    context,
    embeds: true,
    otherModels: generator === "" ? [] : [generator],
    // Each of its slots holds a text of full length. With its own default of 512 tokens per batch it is
    // a little faster than with one batch for all slots.
    peerFlags: ["--embedding", "-c", batch, "-b", batch, "-ub", String(Math.max(context, 512))],
  });
  const requests = textsOf(bench);
  const texts = requests.flat().length;
  const rounds = await alternate(servers, bench.rounds, async (server) => {
    const begun = performance.now();
    for (const input of requests) await embed(server, input);
    return (1_000 * texts) / (performance.now() - begun);
  });
  const [ours] = servers;
  if (ours === undefined) return [];
  const measures = [
    measure(rounds, "texts/s", (rate) => rate, { of: "ratio", atLeast: 1.2 }),
    await likeness(ours, requests[0] ?? []),
    await refusals(ours, context),
  ];
  return generator === "" ? measures : [...measures, await beside(bench, ours, requests[0] ?? [])];
}

function textsOf(bench: Bench): string[][] {
  const [shortest, longest] = [bench.number("shortest-words"), bench.number("longest-words")];
  const count = bench.number("texts");
  const texts = Array.from({ length: count }, (_, index) => {
    const words = shortest + ((index * 7_919) % (longest - shortest + 1));
    return randomText(words, index);
  });
  const size = bench.number("per-request");
  return Array.from({ length: Math.ceil(count / size) }, (_, index) =>
    texts.slice(index * size, (index + 1) * size),
  );
}

/** The vectors of one request. */
async function embed(server: Server, input: readonly string[]): Promise<number[][]> {
  const response = await ask(server, input);
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const { data } = (await response.json()) as { data: { embedding: number[] }[] };
  return data.map(({ embedding }) => embedding);
}

function ask(server: Server, input: unknown): Promise<Response> {
  return fetch(`${server.baseUrl}/v1/embeddings`, {
    method: "POST",
    keepalive: false,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: server.model, input }),
  });
}

/** Least cosine between a text's vector in a batch and alone. */
async function likeness(server: Server, texts: readonly string[]): Promise<Measure> {
  const together = await embed(server, texts);
  let least = 1;
  for (const [index, text] of texts.entries()) {
    const [alone = []] = await embed(server, [text]);
    const batched = together[index] ?? [];
    least = Math.min(
      least,
      alone.reduce((sum, value, at) => sum + value * (batched[at] ?? 0), 0),
    );
  }
  const target = { of: "value", atLeast: 0.9999 } as const;
  return { what: "least cosine, batch to single", ours: [least], peer: null, target };
}

async function refusals(server: Server, context: number): Promise<Measure> {
  const response = await ask(server, [randomText(context + 50, 1)]);
  await response.arrayBuffer();
  const target = { of: "value", atLeast: 400, atMost: 400 } as const;
  return { what: "status of a text over the context", ours: [response.status], peer: null, target };
}

/** One request's time while another model generates, to its time alone. */
async function beside(bench: Bench, server: Server, input: readonly string[]): Promise<Measure> {
  const generator = { ...server, model: bench.option("generator").replace(/^.*\/|\.gguf$/g, "") };
  const timed = async (): Promise<number> => {
    const begun = performance.now();
    await embed(server, input);
    return performance.now() - begun;
  };
  await streamCompletion(generator, "a", 1);
  const alone: number[] = [];
  const busy: number[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    alone.push(await timed());
    const answer = streamCompletion(generator, randomText(20, round), 2_000);
    const stopped = answer.then(() => true);
    busy.push(await timed());
    const isOver = await Promise.race([stopped, Bun.sleep(0).then(() => false)]);
    if (isOver) bench.say("the generation ended before the embeddings: give it a slower model");
    await answer;
  }
  return { what: "ms of a request beside a generation, to alone", ours: busy, peer: alone };
}
