import { quantile } from "../report.ts";
import type { Server } from "../servers.ts";
import { gaps, randomText, runStreams, streamCompletion } from "../streams.ts";
import { alternate, type Bench, measure, type Measure } from "../workload.ts";

export const options = {
  contexts: "512,1024,2048,4096,8192,16000",
  clients: "1,2,4,8,16,32,64",
  prefixes: "0,50,100,200",
  "prefix-words": "280",
  "max-tokens": "32",
  context: "16384",
};

/** How cost grows with the length of a context, with clients, and with stored prefixes. */
export async function run(bench: Bench): Promise<Measure[]> {
  const context = bench.number("context");
  const lengths = numbers(bench.option("contexts"));
  const clients = numbers(bench.option("clients"));
  const servers = await bench.open({ parallel: Math.max(...clients), context });
  const measures: Measure[] = [];
  for (const words of lengths) measures.push(...(await ofContext(bench, servers, words)));
  for (const count of clients) measures.push(...(await ofClients(bench, servers, count)));
  measures.push(...(await ofPrefixes(bench, servers)));
  return measures;
}

const numbers = (list: string): number[] => list.split(",").map(Number);

async function ofContext(
  bench: Bench,
  servers: readonly Server[],
  words: number,
): Promise<Measure[]> {
  bench.say(`context ${words}`);
  const rounds = await alternate(servers, bench.rounds, (server, round) =>
    streamCompletion(server, randomText(words, words + round), bench.number("max-tokens")),
  );
  return [
    measure(
      rounds,
      `ms per prompt token, ${words} tokens`,
      ({ arrivalsMs, promptTokens }) => (arrivalsMs[0] ?? Number.NaN) / promptTokens,
    ),
    measure(rounds, `inter-token p50 ms after ${words} tokens`, ({ arrivalsMs }) =>
      quantile(gaps(arrivalsMs), 0.5),
    ),
  ];
}

async function ofClients(
  bench: Bench,
  servers: readonly Server[],
  clients: number,
): Promise<Measure[]> {
  bench.say(`${clients} clients`);
  const shape = { clients, maxTokens: bench.number("max-tokens"), promptWords: 48 };
  const rounds = await alternate(servers, bench.rounds, (server, round) =>
    runStreams(server, shape, round),
  );
  return [
    measure(rounds, `tokens/s, ${clients} clients`, (round) => round.tokensPerSecond),
    measure(rounds, `TTFT p50 ms, ${clients} clients`, (round) => quantile(round.ttftMs, 0.5)),
  ];
}

/** A new short prompt beside so many prefixes that were seen before. */
async function ofPrefixes(bench: Bench, servers: readonly Server[]): Promise<Measure[]> {
  const measures: Measure[] = [];
  let stored = 0;
  for (const count of numbers(bench.option("prefixes"))) {
    bench.say(`${count} stored prefixes`);
    for (; stored < count; stored++) {
      const prompt = randomText(bench.number("prefix-words"), 50_000 + stored);
      for (const server of servers) await streamCompletion(server, prompt, 1);
    }
    const rounds = await alternate(servers, bench.rounds, (server, round) =>
      streamCompletion(server, randomText(48, 90_000 + 10 * count + round), 32),
    );
    measures.push(
      measure(
        rounds,
        `TTFT ms, ${count} stored prefixes`,
        ({ arrivalsMs }) => arrivalsMs[0] ?? NaN,
      ),
      measure(rounds, `inter-token p50 ms, ${count} stored prefixes`, ({ arrivalsMs }) =>
        quantile(gaps(arrivalsMs), 0.5),
      ),
    );
  }
  return measures;
}
