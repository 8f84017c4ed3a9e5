/**
 * Measures streaming servers beside each other in one run, alternately, so that the machine's noise
 * hits all alike. Only the ratios mean something.
 *
 * bun scripts/bench.ts --model FILE.gguf [--peer PATH_OF_LLAMA_SERVER] [--clients 1,4,8]
 *   [--rounds 5] [--max-tokens 64] [--prompt-words 48] [--context 4096] [--json FILE]
 * bun scripts/bench.ts --url ours=http://127.0.0.1:1234 --url peer=http://127.0.0.1:8080 --name MODEL
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Round, runRound } from "./bench/round.ts";
import { summarize, table } from "./bench/report.ts";
import { type Server, startLlamaServer, startOurs, serverAt } from "./bench/servers.ts";

const { values } = parseArgs({
  options: {
    url: { type: "string", multiple: true, default: [] },
    name: { type: "string" },
    model: { type: "string" },
    peer: { type: "string" },
    executable: { type: "string", default: "dist/lmserver" },
    clients: { type: "string", default: "1,4,8" },
    rounds: { type: "string", default: "5" },
    "max-tokens": { type: "string", default: "64" },
    "prompt-words": { type: "string", default: "48" },
    context: { type: "string", default: "4096" },
    parallel: { type: "string", default: "8" },
    json: { type: "string" },
  },
});

const servers = await openServers();
try {
  const rounds: Round[] = [];
  for (const clients of values.clients.split(",").map(Number)) {
    const shape = {
      clients,
      maxTokens: Number(values["max-tokens"]),
      promptWords: Number(values["prompt-words"]),
    };
    // One unmeasured round each: first requests load models and warm caches.
    for (const server of servers) await runRound(server, shape, -1);
    for (let index = 0; index < Number(values.rounds); index++) {
      const order = index % 2 === 0 ? servers : servers.toReversed();
      for (const server of order) rounds.push(await runRound(server, shape, index));
    }
  }
  const summary = summarize(rounds, servers);
  console.log(table(summary));
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(summary, null, 2));
} finally {
  for (const server of servers) await server.stop();
}

async function openServers(): Promise<Server[]> {
  if (values.url.length > 0) return values.url.map((text) => serverAt(text, values.name ?? ""));
  if (values.model === undefined) throw new Error("give --model FILE or --url NAME=URL");
  const options = {
    model: values.model,
    parallel: Number(values.parallel),
    context: Number(values.context),
  };
  const started = [await startOurs(values.executable, options)];
  if (values.peer !== undefined) started.push(await startLlamaServer(values.peer, options));
  return started;
}
