/**
 * Measures our executable and llama.cpp's own server beside each other in one run, alternately, so
 * that the machine's noise hits both alike. Only the ratios mean something.
 *
 * bun run bench -- --workload NAME --model FILE.gguf [--peer PATH_OF_LLAMA_SERVER] [--rounds 5]
 *   [--json] [--executable dist/lmserver] [the workload's own flags]
 *
 * A workload is a file of bench/workloads; without --workload they are listed with their flags.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rowOf, table } from "./bench/report.ts";
import { type Server, startLlamaServer, startOurs } from "./bench/servers.ts";
import type { Bench, Workload } from "./bench/workload.ts";

const COMMON = {
  workload: { type: "string" },
  model: { type: "string" },
  peer: { type: "string" },
  executable: { type: "string", default: "dist/lmserver" },
  rounds: { type: "string", default: "5" },
  json: { type: "boolean", default: false },
} as const;

const folder = join(import.meta.dir, "bench", "workloads");
const names = readdirSync(folder).map((file) => file.replace(/\.ts$/, ""));
const { workload: name } = parseArgs({ options: COMMON, strict: false }).values;
if (typeof name !== "string" || !names.includes(name)) await listWorkloads();
const workload = await load(String(name));

const own = Object.entries(workload.options).map(
  ([key, value]) => [key, { type: "string", default: value }] as const,
);
const { values } = parseArgs({ options: { ...COMMON, ...Object.fromEntries(own) } });
const flags: Readonly<Record<string, unknown>> = values;
const { model } = values;
if (model === undefined) throw new Error("give --model FILE.gguf");

const servers: Server[] = [];
const bench: Bench = {
  model,
  rounds: Number(values.rounds),
  executable: values.executable,
  peerPath: values.peer ?? null,
  option: (key) => String(flags[key]),
  number: (key) => Number(flags[key]),
  async open(options) {
    const each = { model, ...options };
    const opened = [bench.adopt(await startOurs(values.executable, each))];
    if (values.peer !== undefined) {
      opened.push(bench.adopt(await startLlamaServer(values.peer, each)));
    }
    return opened;
  },
  adopt(server) {
    servers.push(server);
    return server;
  },
  say: (text) => console.error(text),
};
try {
  const rows = (await workload.run(bench)).map(rowOf);
  console.log(values.json ? JSON.stringify({ workload: name, model, rows }, null, 2) : table(rows));
} finally {
  for (const server of servers) await server.stop();
}

async function load(file: string): Promise<Workload> {
  return (await import(join(folder, `${file}.ts`))) as Workload;
}

async function listWorkloads(): Promise<never> {
  console.error("give --workload NAME, one of");
  for (const each of names) {
    const defaults = Object.entries((await load(each)).options);
    console.error(`  ${[each, ...defaults.map(([key, value]) => `--${key} ${value}`)].join(" ")}`);
  }
  process.exit(2);
}
