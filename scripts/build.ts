/**
 * Builds the executable:
 * `bun scripts/build.ts [--target PLATFORM] [--gpu cuda] [--libraries FOLDER] [--outfile FILE]`.
 * Without options: dist/lmserver for this machine. A target is built from its platform's packages,
 * which are fetched when they are not installed here; the result is not run. `--libraries` takes
 * llama.cpp's libraries from a folder instead, for a platform whose package is not to be had.
 */
import { mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { collectLibraries, librariesIn } from "./build/libraries.ts";
import { bunExecutable } from "./build/packages.ts";
import { stageBundle } from "./build/stage.ts";
import { TARGETS, type TargetName, hostTarget } from "./build/targets.ts";

const ROOT = resolve(import.meta.dir, "..");

/** Workers are started by name, so the bundler must be told of them. */
const WORKERS = ["src/chat/render-worker.ts", "src/llama/compute-worker.ts"];

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    gpu: { type: "string", multiple: true, default: [] },
    libraries: { type: "string" },
    outfile: { type: "string" },
  },
});

const name = parseTarget(values.target ?? hostTarget());
const target = TARGETS[name];
const gpus = values.gpu;
if (gpus.some((gpu) => gpu !== "cuda")) fail("--gpu: the only extra backend is cuda");
const isHost = name === hostTarget();
const suffix = `${isHost ? "" : `-${name}`}${gpus.includes("cuda") ? "-cuda" : ""}`;
const named = resolve(values.outfile ?? join(ROOT, `dist/lmserver${suffix}`));
const outfile = named.endsWith(target.executableSuffix) ? named : named + target.executableSuffix;

const started = performance.now();
const stage = join(ROOT, `node_modules/.cache/lmserver-build/${name}${suffix}/bundle`);
rmSync(stage, { recursive: true, force: true });
mkdirSync(dirname(outfile), { recursive: true });
const libraries =
  values.libraries === undefined
    ? collectLibraries(ROOT, name, gpus)
    : librariesIn(resolve(values.libraries));
const manifest = stageBundle(ROOT, stage, libraries);
warnOfAnotherRelease(manifest.llamaRelease);

const result = await Bun.build({
  entrypoints: [join(ROOT, "src/main.ts"), ...WORKERS.map((path) => join(ROOT, path))],
  root: join(ROOT, "src"),
  minify: { whitespace: true, syntax: true, identifiers: false },
  sourcemap: "linked",
  // An engine starts without the server's code, and nothing is parsed where bytecode is at hand:
  // both processes of a first answer start 65 ms sooner. Other targets may not share the format.
  splitting: true,
  format: "esm",
  bytecode: isHost,
  compile: {
    outfile,
    target: target.bunTarget,
    ...(isHost ? {} : { executablePath: bunExecutable(ROOT, name) }),
    assets: [stage],
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
  },
});
if (!result.success) fail(result.logs.map(String).join("\n"));
// The executable carries its maps; the copies that Bun leaves beside it are of no use.
for (const { kind, path } of result.outputs) if (kind === "sourcemap") rmSync(path);

const megabytes = (statSync(outfile).size / 1e6).toFixed(1);
const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(
  `${outfile}: ${megabytes} MB, ${manifest.extracted.length} carried files, ` +
    `llama.cpp ${manifest.llamaRelease}, build ${manifest.buildId.slice(0, 12)}, ${seconds} s`,
);

/** Struct layouts are those of one release; the executable checks them at its start. */
function warnOfAnotherRelease(carried: string): void {
  const file = join(ROOT, "node_modules/node-llama-cpp/llama/binariesGithubRelease.json");
  const { release } = JSON.parse(readFileSync(file, "utf8")) as { release: string };
  if (carried === release) return;
  console.error(
    `warning: the libraries are llama.cpp ${carried}, the code is made for ${release}: ` +
      "the executable will refuse to compute with them if their layouts differ",
  );
}

function parseTarget(text: string): TargetName {
  if (Object.hasOwn(TARGETS, text)) return text as TargetName;
  return fail(`--target: ${text} is not one of ${Object.keys(TARGETS).join(", ")}`);
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
