import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quantile } from "../report.ts";
import { type Server, startLlamaServer, startOurs } from "../servers.ts";
import { gaps, runStreams, streamCompletion } from "../streams.ts";
import { alternate, type Bench, measure, type Measure } from "../workload.ts";

export const options = {
  parallel: "8",
  context: "4096",
  requests: "2000",
  "idle-streams": "1000",
  /** Of the stream behind which the others wait. */
  "busy-tokens": "600",
  /** Of these, those before the others have come. */
  "opening-tokens": "100",
};

/** What a server costs beside computing: start, memory, small requests, streams that wait. */
export async function run(bench: Bench): Promise<Measure[]> {
  const starts = await measureStarts(bench);
  const shape = { parallel: bench.number("parallel"), context: bench.number("context") };
  const servers = await bench.open(shape);
  const streams = { clients: shape.parallel, maxTokens: 32, promptWords: 48 };
  for (const server of servers) await runStreams(server, streams, 0);
  const [ours, peer] = servers.map((server) => server.peakBytes() / 1e6);
  const memory: Measure = {
    what: "peak MB beside mapped files, ours - peer",
    ours: [(ours ?? NaN) - (peer ?? 0)],
    peer: null,
    target: { of: "value", atMost: 120 },
  };
  const rates = await alternate(servers, bench.rounds, (server) =>
    requestRate(server, bench.number("requests")),
  );
  return [
    ...starts,
    { what: "peak MB beside mapped files", ours: [ours ?? NaN], peer: peer ? [peer] : null },
    memory,
    measure(rates, "GET /v1/models per second", (rate) => rate),
    await measureIdle(bench),
  ];
}

/** From the start of the process to its first answered completion. */
async function measureStarts(bench: Bench): Promise<Measure[]> {
  const home = mkdtempSync(join(tmpdir(), "lmserver-bench-"));
  const shape = {
    model: bench.model,
    parallel: bench.number("parallel"),
    context: bench.number("context"),
  };
  const { executable, peerPath } = bench;
  const startMs = async (starting: Promise<Server>): Promise<number> => {
    const server = await starting;
    await server.stop();
    return server.startMs;
  };
  const [empty, filled, peer]: [number[], number[], number[]] = [[], [], []];
  try {
    // The first start fills the folder, and the memory that holds the model's file.
    await startMs(startOurs(executable, { ...shape, home }));
    for (let round = 0; round < bench.rounds; round++) {
      empty.push(await startMs(startOurs(executable, shape)));
      if (peerPath !== null) peer.push(await startMs(startLlamaServer(peerPath, shape)));
      filled.push(await startMs(startOurs(executable, { ...shape, home })));
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
  const target = { of: "ratio", atMost: 1 } as const;
  const theirs = peerPath === null ? null : peer;
  return [
    { what: "start to first answer ms", ours: filled, peer: theirs, target },
    { what: "the same with an empty cache folder", ours: empty, peer: theirs, target },
  ];
}

async function requestRate(server: Server, count: number): Promise<number> {
  const begun = performance.now();
  let asked = 0;
  const client = async (): Promise<void> => {
    while (asked++ < count) {
      const response = await fetch(`${server.baseUrl}/v1/models`);
      await response.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  return (1_000 * count) / (performance.now() - begun);
}

/**
 * One stream's pauses while many others wait behind it for the only slot, to those at the same tokens
 * of a stream without others: later tokens take longer by themselves.
 */
async function measureIdle(bench: Bench): Promise<Measure> {
  const count = bench.number("idle-streams");
  const flags = ["--max-queue", String(count)];
  const context = bench.number("context");
  const shape = { model: bench.model, parallel: 1, context, flags };
  const server = bench.adopt(await startOurs(bench.executable, shape));
  await streamCompletion(server, "words to warm up", bench.number("opening-tokens"));
  const alone: number[] = [];
  const crowded: number[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    alone.push(await pausesBefore(bench, server, `${round} alone`, 0));
    crowded.push(await pausesBefore(bench, server, `${round} in front`, count));
  }
  return {
    what: `inter-token p95 ms of one stream with ${count} streams waiting, to without`,
    ours: crowded,
    peer: alone,
  };
}

/** The 95th percentile of a stream's pauses, in ms, once `count` others wait behind it. */
async function pausesBefore(
  bench: Bench,
  server: Server,
  prompt: string,
  count: number,
): Promise<number> {
  const opening = bench.number("opening-tokens");
  const busy = streamCompletion(server, prompt, bench.number("busy-tokens"));
  while ((await slotsOf(server)).generated === 0) await Bun.sleep(20);
  const leaving = new AbortController();
  const waiting = Array.from({ length: count }, (_, index) => wait(server, index, leaving.signal));
  while ((await slotsOf(server)).queued < count) await Bun.sleep(20);
  if ((await slotsOf(server)).generated > opening) {
    bench.say(`the ${count} streams came after ${opening} tokens: choose more --opening-tokens`);
  }
  const { arrivalsMs } = await busy;
  leaving.abort();
  await Promise.allSettled(waiting);
  while ((await slotsOf(server)).queued > 0) await Bun.sleep(20);
  return quantile(gaps(arrivalsMs.slice(opening)), 0.95);
}

async function slotsOf(server: Server): Promise<{ queued: number; generated: number }> {
  const response = await fetch(`${server.baseUrl}/api/lmserver/slots`);
  const { models } = (await response.json()) as {
    models: { queued: number; slots: { generated_tokens: number }[] }[];
  };
  const [model] = models;
  return { queued: model?.queued ?? 0, generated: model?.slots[0]?.generated_tokens ?? 0 };
}

/** A stream that is open and waits. A socket, since Bun's fetch opens 256 connections at most. */
async function wait(server: Server, index: number, signal: AbortSignal): Promise<void> {
  const { hostname, port } = new URL(server.baseUrl);
  const body = JSON.stringify({ model: server.model, prompt: `waiting ${index}`, stream: true });
  const closed = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: { data: () => undefined, close: () => closed.resolve() },
  });
  signal.addEventListener("abort", () => socket.terminate());
  const head = [
    "POST /v1/completions HTTP/1.1",
    `host: ${hostname}:${port}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  await closed.promise;
}
