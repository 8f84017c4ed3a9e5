import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Server, startOurs } from "../servers.ts";
import { randomText, type Stream, streamCompletion } from "../streams.ts";
import { alternate, type Bench, measure, type Measure } from "../workload.ts";

export const options = {
  /** `copy` needs a model that copies: make-model's --copies. */
  task: "copy",
  /** A smaller model of the same vocabulary guesses instead of the lookup in earlier text. */
  draft: "",
  clients: "1,4",
  "max-tokens": "256",
  parallel: "8",
  context: "12288",
};

interface Task {
  prompt: (client: number, round: number) => string;
  extra: Record<string, unknown>;
  atLeast: number;
}

/** A file of ours; long enough for any answer. */
const FILE = readFileSync(join(import.meta.dir, "../../../src/engine/choice.ts"), "utf8");

const TASKS: Readonly<Record<string, Task>> = {
  /** The file once more, from its first lines on, without a word that it has in many places. */
  copy: {
    prompt: (client) => {
      const lines = FILE.split("\n").slice(client * 5);
      return `Rewrite this file with another word for token:\n\n${lines.join("\n")}\n\n${lines.slice(0, 4).join("\n")}\n`;
    },
    extra: { logit_bias: [[" token", false]] },
    atLeast: 1.5,
  },
  /** Text that does not repeat: for a model with random weights. */
  fresh: {
    prompt: (client, round) => randomText(200, round * 100 + client),
    extra: {},
    atLeast: 0.97,
  },
};

/** Our server against itself with `--speculation off` and no draft model; the peer is the latter. */
export async function run(bench: Bench): Promise<Measure[]> {
  const task = TASKS[bench.option("task")];
  if (task === undefined) throw new Error(`--task is one of ${Object.keys(TASKS).join(", ")}`);
  const draft = bench.option("draft");
  const shape = {
    parallel: bench.number("parallel"),
    context: bench.number("context"),
    otherModels: draft === "" ? [] : [draft],
  };
  const start = async (mode: string): Promise<Server> => {
    const flags = ["--speculation", mode];
    return bench.adopt(await startOurs(bench.executable, { ...shape, model: bench.model, flags }));
  };
  const guessing = await start(draft === "" ? "auto" : "off");
  if (draft !== "") await loadWithDraft(guessing, basename(draft, ".gguf"));
  const servers = [guessing, await start("off")];
  const maxTokens = bench.number("max-tokens");
  const measures: Measure[] = [];
  for (const clients of bench.option("clients").split(",").map(Number)) {
    bench.say(`${clients} clients`);
    const once = async (server: Server, round: number): Promise<Stream[]> => {
      const streams = await Promise.all(
        Array.from({ length: clients }, (_, client) =>
          streamCompletion(server, task.prompt(client, round), maxTokens, task.extra),
        ),
      );
      const mode = server === guessing ? "with" : "without";
      bench.say(`${mode} guesses: ${tokensPerSecond(streams).toFixed(1)} tokens/s`);
      return streams;
    };
    // One unmeasured round each: prompts are computed once and found again.
    for (const server of servers) await once(server, 0);
    const rounds = await alternate(servers, bench.rounds, (server, round) => once(server, round));
    const at = `${clients} clients`;
    const same = rounds[0]?.map((round, index) => sameShare(round, rounds[1]?.[index] ?? []));
    measures.push(
      measure(rounds, `tokens/s after the first, ${at}`, tokensPerSecond, {
        of: "ratio",
        atLeast: task.atLeast,
      }),
      { what: `part of the text that is the same, ${at}`, ours: same ?? [], peer: null },
    );
  }
  const metrics = await (await fetch(`${guessing.baseUrl}/metrics`)).text();
  for (const kind of ["drafted", "accepted"]) {
    const found = new RegExp(`^lmserver_speculation_${kind}_tokens_total\\{.*\\} (\\d+)$`, "m");
    const count = Number(found.exec(metrics)?.[1]);
    measures.push({ what: `${kind} tokens in all`, ours: [count], peer: null });
  }
  return measures;
}

/** The first answer loaded the model without one; the first that names one loads both. */
async function loadWithDraft(server: Server, draft: string): Promise<void> {
  const response = await fetch(`${server.baseUrl}/api/v1/models/unload`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ instance_id: server.model }),
  });
  if (!response.ok) throw new Error(await response.text());
  await streamCompletion(server, "a", 1, { draft_model: draft });
}

/** Of all streams together, without the time to their first token. */
function tokensPerSecond(streams: readonly Stream[]): number {
  const begun = Math.min(...streams.map(({ arrivalsMs }) => arrivalsMs[0] ?? Infinity));
  const ended = Math.max(...streams.map(({ arrivalsMs }) => arrivalsMs.at(-1) ?? 0));
  const tokens = streams.reduce((sum, { completionTokens }) => sum + completionTokens - 1, 0);
  return (tokens / (ended - begun)) * 1000;
}

/** How much of the texts agrees before they differ; quantised weights round by the batch. */
function sameShare(a: readonly Stream[], b: readonly Stream[]): number {
  const shares = a.map(({ text }, index) => {
    const other = b[index]?.text ?? "";
    let same = 0;
    while (same < text.length && text[same] === other[same]) same++;
    return same / Math.max(text.length, 1);
  });
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}
