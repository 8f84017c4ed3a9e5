import { gapsWithin, reached, startStream } from "../live-stream.ts";
import { quantile } from "../report.ts";
import type { Server } from "../servers.ts";
import { randomText, streamCompletion } from "../streams.ts";
import { alternate, type Bench, type Measure } from "../workload.ts";

export const options = {
  streams: "4",
  "prompt-words": "3800",
  prompts: "1,2",
  parallel: "8",
  context: "16384",
};

interface Round {
  idleMs: number;
  besideMs: number;
  ttftMs: number;
}

/** Streams that run while long prompts are read: how much longer their pauses get. */
export async function run(bench: Bench): Promise<Measure[]> {
  const servers = await bench.open({
    parallel: bench.number("parallel"),
    context: bench.number("context"),
  });
  const measures: Measure[] = [];
  for (const prompts of bench.option("prompts").split(",").map(Number)) {
    bench.say(`${prompts} long prompts at once`);
    const sides = await alternate(servers, bench.rounds, (server, round) =>
      runRound(bench, server, prompts, 1_000 * prompts + 10 * round),
    );
    const at = `${prompts} long prompts`;
    for (const [index, rounds] of sides.entries()) {
      const name = servers[index]?.name ?? "";
      measures.push({
        what: `inter-token p95 ms beside ${at} / idle, ${name}`,
        ours: rounds.map((round) => round.besideMs),
        peer: rounds.map((round) => round.idleMs),
        ...(index === 0 && { target: { of: "ratio", atMost: 2 } as const }),
      });
    }
    const [ours = [], peer] = sides;
    measures.push({
      what: `TTFT ms of ${at}`,
      ours: ours.map((round) => round.ttftMs),
      peer: peer?.map((round) => round.ttftMs) ?? null,
    });
  }
  return measures;
}

async function runRound(
  bench: Bench,
  server: Server,
  prompts: number,
  seed: number,
): Promise<Round> {
  const count = bench.number("streams");
  const streams = await Promise.all(
    Array.from({ length: count }, (_, index) => startStream(server, randomText(20, seed + index))),
  );
  try {
    await reached(streams, 20);
    const idleFrom = performance.now();
    await reached(streams, 80);
    const idleTo = performance.now();
    const words = bench.number("prompt-words");
    const long = await Promise.all(
      Array.from({ length: prompts }, (_, index) =>
        streamCompletion(server, randomText(words, seed + 100 + index), 1),
      ),
    );
    const besideTo = performance.now();
    const p95 = (from: number, to: number): number =>
      quantile(
        streams.flatMap((stream) => gapsWithin(stream, from, to)),
        0.95,
      );
    const ttfts = long.map(({ arrivalsMs }) => arrivalsMs[0] ?? Number.NaN);
    return {
      idleMs: p95(idleFrom, idleTo),
      besideMs: p95(idleTo, besideTo),
      ttftMs: Math.max(...ttfts),
    };
  } finally {
    for (const stream of streams) await stream.stop();
  }
}
