import type { Server } from "../servers.ts";
import { randomText, streamCompletion } from "../streams.ts";
import { alternate, type Bench, measure, type Measure } from "../workload.ts";

export const options = {
  chats: "10",
  turns: "5",
  "first-words": "2850",
  "turn-words": "150",
  // A model with random weights writes what tokenizers read back otherwise: little of it.
  "max-tokens": "2",
  parallel: "4",
  context: "16384",
};

interface Round {
  /** Prompt tokens that had to be computed. */
  computed: number;
  /** Those that the server has never seen before. */
  fresh: number;
  /** Mean over the turns that came back. */
  ttftMs: number;
}

/** Conversations that take turns, more of them than the context holds. */
export async function run(bench: Bench): Promise<Measure[]> {
  const servers = await bench.open({
    parallel: bench.number("parallel"),
    context: bench.number("context"),
  });
  const sides = await alternate(servers, bench.rounds, (server, round) =>
    runRound(bench, server, round),
  );
  const measures = sides.map((rounds, index): Measure => ({
    what: `prompt tokens computed / new, ${servers[index]?.name ?? ""}`,
    ours: rounds.map(({ computed }) => computed),
    peer: rounds.map(({ fresh }) => fresh),
    ...(index === 0 && { target: { of: "ratio", atMost: 1.1 } as const }),
  }));
  return [...measures, measure(sides, "TTFT ms of later turns", ({ ttftMs }) => ttftMs)];
}

async function runRound(bench: Bench, server: Server, round: number): Promise<Round> {
  const chats = Array.from({ length: bench.number("chats") }, (_, chat) => ({
    text: randomText(bench.number("first-words"), 9_000 + 100 * round + chat),
    tokens: 0,
  }));
  const total = { computed: 0, fresh: 0 };
  const ttfts: number[] = [];
  for (let turn = 0; turn < bench.number("turns"); turn++) {
    for (const [index, chat] of chats.entries()) {
      const answer = await streamCompletion(server, chat.text, bench.number("max-tokens"));
      total.computed += answer.promptTokens - answer.cachedTokens;
      total.fresh += answer.promptTokens - chat.tokens;
      if (turn > 0) ttfts.push(answer.arrivalsMs[0] ?? Number.NaN);
      chat.tokens = answer.promptTokens + answer.completionTokens;
      const more = randomText(
        bench.number("turn-words"),
        50_000 + 1_000 * turn + 10 * index + round,
      );
      chat.text += `${answer.text} ${more}`;
    }
  }
  return { ...total, ttftMs: ttfts.reduce((sum, ms) => sum + ms, 0) / ttfts.length };
}
