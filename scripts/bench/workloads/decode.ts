import { quantile } from "../report.ts";
import { runStreams } from "../streams.ts";
import { alternate, type Bench, measure, type Measure } from "../workload.ts";

export const options = {
  clients: "1,4,8,16",
  "max-tokens": "64",
  "prompt-words": "48",
  parallel: "16",
  context: "8192",
  "warm-up-tokens": "100",
};

/** Streaming clients with prompts of their own, all at once. */
export async function run(bench: Bench): Promise<Measure[]> {
  const shape = {
    maxTokens: bench.number("max-tokens"),
    promptWords: bench.number("prompt-words"),
  };
  const servers = await bench.open({
    parallel: bench.number("parallel"),
    context: bench.number("context"),
  });
  const counts = bench.option("clients").split(",").map(Number);
  // Our program is compiled while it runs; a server is measured as it is after its first minute.
  const warmUp = {
    ...shape,
    clients: bench.number("parallel"),
    maxTokens: bench.number("warm-up-tokens"),
  };
  for (const server of servers) await runStreams(server, warmUp, -2);
  const measures: Measure[] = [];
  for (const clients of counts) {
    bench.say(`${clients} clients`);
    // One unmeasured round each: first requests warm caches.
    for (const server of servers) await runStreams(server, { ...shape, clients }, -1);
    const rounds = await alternate(servers, bench.rounds, (server, round) =>
      runStreams(server, { ...shape, clients }, round),
    );
    const at = `${clients} clients`;
    measures.push(
      measure(rounds, `tokens/s, ${at}`, (round) => round.tokensPerSecond, {
        of: "ratio",
        atLeast: 1,
      }),
      measure(rounds, `TTFT p50 ms, ${at}`, (round) => quantile(round.ttftMs, 0.5)),
      measure(rounds, `inter-token p50 ms, ${at}`, (round) => quantile(round.interTokenMs, 0.5)),
      measure(rounds, `inter-token p95 ms, ${at}`, (round) => quantile(round.interTokenMs, 0.95), {
        of: "ratio",
        atMost: 1,
      }),
    );
  }
  return measures;
}
