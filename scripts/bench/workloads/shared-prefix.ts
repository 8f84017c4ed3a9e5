import { quantile } from "../report.ts";
import type { Server } from "../servers.ts";
import { randomText, runPrompts } from "../streams.ts";
import { alternate, type Bench, measure, type Measure } from "../workload.ts";

export const options = {
  clients: "8",
  "prefix-words": "1900",
  "tail-words": "40",
  "max-tokens": "8",
  parallel: "8",
  context: "24576",
};

/** Clients that come at once with one long beginning that nobody has seen and ends of their own. */
export async function run(bench: Bench): Promise<Measure[]> {
  const servers = await bench.open({
    parallel: bench.number("parallel"),
    context: bench.number("context"),
  });
  const rounds = await alternate(servers, bench.rounds, (server, round) =>
    runRound(bench, server, round),
  );
  const target = (atMost: number) => ({ of: "ratio", atMost }) as const;
  return [
    measure(rounds, "TTFT p50 ms", ({ ttftMs }) => quantile(ttftMs, 0.5), target(0.25)),
    measure(rounds, "TTFT max ms", ({ ttftMs }) => Math.max(...ttftMs), target(0.35)),
  ];
}

async function runRound(bench: Bench, server: Server, round: number) {
  const prefix = randomText(bench.number("prefix-words"), 7_000 + round);
  const prompts = Array.from(
    { length: bench.number("clients") },
    (_, client) => `${prefix} ${randomText(bench.number("tail-words"), 100 * round + client)}`,
  );
  return runPrompts(server, prompts, bench.number("max-tokens"));
}
