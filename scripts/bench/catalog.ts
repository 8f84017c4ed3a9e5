import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ModelCatalog } from "../../src/catalog/model-catalog.ts";
import type { ModelOrigin } from "../../src/catalog/model.ts";
import { silentLog } from "../../src/lib/log.ts";
import { tinyModel } from "../make-hostile-gguf.ts";

/**
 * A thousand models in three layouts: the first scan of their headers, the list an hour later, and
 * what a client waits for `GET /v1/models` of the built executable, a second after the last time.
 *
 *   bun run build && bun scripts/bench/catalog.ts
 */

const MODELS = 1_000;
const LISTS = 20;
/** A list older than this is not given out without a look at the folders. */
const STALE_MS = 1_050;
const EXECUTABLE = resolve(import.meta.dir, "../../dist/lmserver");
/** Folders count as settled so long after their last change. */
const SETTLE_MS = 3_000;

type Layout = readonly [name: string, source: Exclude<ModelOrigin, "demo">, path: PathOf];
type PathOf = (index: number) => { file: string; link: string | null };

const layouts: readonly Layout[] = [
  ["one folder", "models-dir", (n) => ({ file: `m${n}-Q4_0.gguf`, link: null })],
  [
    "1,000 repositories",
    "models-dir",
    (n) => ({ file: `pub${n % 50}/repo${n}/m${n}-Q4_0.gguf`, link: null }),
  ],
  [
    "Hugging Face cache",
    "hugging-face",
    (n) => ({
      file: `models--o--r${n}/blobs/x${n}`,
      link: `models--o--r${n}/snapshots/abc/m${n}-Q4_0.gguf`,
    }),
  ],
];

const root = mkdtempSync(join(tmpdir(), "lmserver-bench-"));
try {
  for (const [name, source, pathOf] of layouts) {
    const folder = join(root, source, name);
    for (let index = 0; index < MODELS; index += 1) write(folder, pathOf(index), index);
    const seen = source === "models-dir" ? `; ${await measureAnswers(folder)}` : "";
    console.log(`${name}: ${await measure({ path: folder, source })}${seen}`);
  }
} finally {
  rmSync(root, { recursive: true });
}

function write(folder: string, { file, link }: ReturnType<PathOf>, index: number): void {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.concat([tinyModel({}), Buffer.from(String(index))]));
  if (link === null) return;
  mkdirSync(join(folder, dirname(link)), { recursive: true });
  symlinkSync(path, join(folder, link));
}

async function measure(place: {
  path: string;
  source: Exclude<ModelOrigin, "demo">;
}): Promise<string> {
  let nowMs = 0;
  const clock = { now: () => Date.now(), monotonicMs: () => nowMs, after: () => () => undefined };
  const catalog = new ModelCatalog({
    folders: [place],
    demoPath: null,
    chatTemplate: null,
    aliases: () => [],
    clock,
    log: silentLog,
  });
  const firstMs = await timed(() => catalog.list());
  await Bun.sleep(SETTLE_MS);
  await catalog.rescan();
  const lists: number[] = [];
  for (let index = 0; index < LISTS; index += 1) {
    nowMs += 2_000;
    lists.push(await timed(() => catalog.list()));
    // What follows an answer is not part of it.
    await Bun.sleep(20);
  }
  return `first scan ${firstMs.toFixed(0)} ms; a stale list ${spread(lists)}`;
}

/** Every answer comes after a look at the folders: the last look is always too old. */
async function measureAnswers(modelsDir: string): Promise<string> {
  const home = mkdtempSync(join(root, "server-"));
  const dirs = ["--state-dir", join(home, "state"), "--cache-dir", join(home, "cache")];
  const words = ["serve", "--port", "0", "--json-ready", "--log-level", "warn", ...dirs];
  const child = Bun.spawn([EXECUTABLE, ...words, "--models-dir", modelsDir], {
    env: { HOME: home },
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    const { value } = await child.stdout.getReader().read();
    const { url } = JSON.parse(new TextDecoder().decode(value)) as { url: string };
    const ask = async (): Promise<void> => {
      const response = await fetch(`${url}/v1/models`);
      await response.bytes();
    };
    for (let index = 0; index < LISTS; index += 1) await ask();
    const answers: number[] = [];
    for (let index = 0; index < LISTS; index += 1) {
      await Bun.sleep(STALE_MS);
      answers.push(await timed(ask));
    }
    return `an answer ${spread(answers)}`;
  } finally {
    child.kill("SIGTERM");
    await child.exited;
  }
}

/** The median, with the least and the most. */
function spread(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const [least, middle, most] = [0, sorted.length >> 1, sorted.length - 1].map((at) =>
    sorted[at]?.toFixed(2),
  );
  return `${middle} ms (${least} to ${most})`;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}
