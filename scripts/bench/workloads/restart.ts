import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Server, startOurs } from "../servers.ts";
import { randomText, runPrompts, streamCompletion } from "../streams.ts";
import type { Bench, Measure } from "../workload.ts";

export const options = {
  "prompt-words": "3800",
  "max-tokens": "16",
  clients: "4",
  parallel: "8",
  context: "16384",
  parts: "return,cost",
};

/** Until a server has written what it was about to. */
const SETTLE_MS = 3_000;

/** A long prompt after unload and restart, and what keeping it costs those who stream meanwhile. */
export async function run(bench: Bench): Promise<Measure[]> {
  const home = mkdtempSync(join(tmpdir(), "lmserver-bench-"));
  try {
    const parts = bench.option("parts").split(",");
    const returns = parts.includes("return") ? await measureReturns(bench, home) : [];
    const cost = parts.includes("cost") ? [await measureCost(bench)] : [];
    return [...(returns.length > 0 ? returnMeasures(returns) : []), ...cost];
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

type Returned = Awaited<ReturnType<typeof measureReturns>>;

function returnMeasures(found: Returned): Measure[] {
  return [
    {
      what: "TTFT ms after restart / cold",
      ours: found.map(({ restartMs }) => restartMs),
      peer: found.map(({ coldMs }) => coldMs),
      target: { of: "ratio", atMost: 0.05 },
    },
    {
      what: "TTFT ms after unload and load / cold",
      ours: found.map(({ unloadMs }) => unloadMs),
      peer: found.map(({ coldMs }) => coldMs),
      target: { of: "ratio", atMost: 0.05 },
    },
    // Quantised weights round by the rows of a batch: the cache can do no better than nobody.
    {
      what: "same greedy text from the cache as cold (1 = yes)",
      ours: found.map(({ isSame }) => Number(isSame)),
      peer: null,
    },
    {
      what: "the same without the cache",
      ours: found.map(({ isRepeatable }) => Number(isRepeatable)),
      peer: null,
    },
  ];
}

async function measureReturns(bench: Bench, home: string) {
  const shape = { parallel: bench.number("parallel"), context: bench.number("context") };
  const start = (): Promise<Server> =>
    startOurs(bench.executable, { model: bench.model, home, ...shape });
  const found = [];
  for (let round = 0; round < bench.rounds; round++) {
    bench.say(`restart ${round + 1}`);
    const prompt = randomText(bench.number("prompt-words"), 60_000 + round);
    const ask = (server: Server, extra = {}) =>
      streamCompletion(server, prompt, bench.number("max-tokens"), extra);
    const first = await start();
    const cold = await ask(first);
    await first.stop();
    const second = bench.adopt(await start());
    const restarted = await ask(second);
    await unload(second);
    // Loads it again: the model's own load is not the prompt's.
    await streamCompletion(second, "a", 1);
    const reloaded = await ask(second);
    const without = await ask(second, { cache_prompt: false });
    const again = await ask(second, { cache_prompt: false });
    await second.stop();
    found.push({
      coldMs: cold.arrivalsMs[0] ?? Number.NaN,
      restartMs: restarted.arrivalsMs[0] ?? Number.NaN,
      unloadMs: reloaded.arrivalsMs[0] ?? Number.NaN,
      isSame: [restarted, reloaded].every(({ text }) => text === cold.text),
      isRepeatable: [without, again].every(({ text }) => text === cold.text),
    });
  }
  return found;
}

async function unload(server: Server): Promise<void> {
  const response = await fetch(`${server.baseUrl}/api/v1/models/unload`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ instance_id: server.model }),
  });
  if (!response.ok) throw new Error(await response.text());
}

/** Streams right after a long prompt, while it is written, against a server that keeps nothing. */
async function measureCost(bench: Bench): Promise<Measure> {
  bench.say("cost of writing");
  const shape = { parallel: bench.number("parallel"), context: bench.number("context") };
  const off = ["--prefix-cache-disk", "0", "--prefix-cache-memory", "0"];
  const sides = [[], off].map((flags) =>
    startOurs(bench.executable, { model: bench.model, flags, ...shape }),
  );
  const servers = (await Promise.all(sides)).map((server) => bench.adopt(server));
  const speeds: [number[], number[]] = [[], []];
  for (let round = 0; round <= bench.rounds; round++) {
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const side of order) {
      const server = servers[side];
      if (server === undefined) continue;
      // What the other one still writes must not count here.
      await Bun.sleep(SETTLE_MS);
      await streamCompletion(server, randomText(1_900, 70_000 + round), 1);
      const clients = Array.from({ length: bench.number("clients") }, (_, index) =>
        randomText(20, 80_000 + 10 * round + index),
      );
      const { tokensPerSecond } = await runPrompts(server, clients, 96);
      // The first one of each warms up.
      if (round > 0) speeds[side === 0 ? 0 : 1].push(tokensPerSecond);
    }
  }
  return {
    what: "tokens/s while a prompt is written to disk / never",
    ours: speeds[0],
    peer: speeds[1],
    target: { of: "ratio", atLeast: 0.97 },
  };
}
