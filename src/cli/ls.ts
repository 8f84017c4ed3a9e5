import { buildInfo, prepareBundle } from "../bundle/bundle.ts";
import type { BrokenModel, CatalogModel } from "../catalog/model.ts";
import { ModelCatalog } from "../catalog/model-catalog.ts";
import { resolveFolders } from "../config/paths.ts";
import { flagSetting } from "../config/setting.ts";
import { JSON_OUTPUT, SERVE_SETTINGS } from "../config/settings.ts";
import { systemClock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import { silentLog } from "../lib/log.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { modelJson, sizeText } from "./model-json.ts";
import { catalogFolders } from "./serve-config.ts";
import { textTable } from "./text-table.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  llm: flagSetting({ flag: "llm", fallback: false, flagOnly: true, help: "Only language models" }),
  embedding: flagSetting({
    flag: "embedding",
    fallback: false,
    flagOnly: true,
    help: "Only embedding models",
  }),
  json: JSON_OUTPUT,
  modelsDirs: SERVE_SETTINGS.modelsDirs,
  cacheDir: SERVE_SETTINGS.cacheDir,
  demo: SERVE_SETTINGS.demo,
};

/** `lmserver ls [key]`: reads the folders itself, so it needs no running server. */
export const ls: Command = {
  settings: FLAGS,
  operands: "[model]",
  async run(args, { print, note, env }) {
    const { values, operands } = parseVerb(FLAGS, args, env, { operands: 1 });
    const found = resolveFolders({ ...values, stateDir: "." }, env);
    if ("problems" in found) {
      const wanted = found.problems.filter((problem) => problem.includes("--models-dir"));
      if (wanted.length > 0) throw new ExitError(EXIT.usage, wanted.join("\n"));
    }
    const folders = "folders" in found ? catalogFolders(found.folders) : namedFolders(values);
    const catalog = new ModelCatalog({
      folders,
      demoPath: values.demo ? demoPath(found, note) : null,
      chatTemplate: null,
      aliases: () => [],
      clock: systemClock,
      log: silentLog,
    });
    const [key] = operands;
    const all = key === undefined ? await catalog.list() : await variantsOf(catalog, key);
    const models = all.filter(
      (model) =>
        (!values.llm && !values.embedding) ||
        (model.kind === "llm" ? values.llm : values.embedding),
    );
    if (values.json) {
      print(JSON.stringify(models.map(modelJson)));
      return EXIT.ok;
    }
    for (const line of listing(all, models)) print(line);
    for (const line of brokenLines(await catalog.broken())) note(line);
    return EXIT.ok;
  },
};

const namedFolders = ({ modelsDirs }: { modelsDirs: readonly string[] }) =>
  modelsDirs.map((path) => ({ path, source: "models-dir" }) as const);

/** The carried model lies in the cache folder; without a usable one it is not listed. */
function demoPath(
  found: ReturnType<typeof resolveFolders>,
  note: (line: string) => void,
): string | null {
  if (!("folders" in found) && buildInfo().isStandalone) return null;
  try {
    const cacheDir = "folders" in found ? found.folders.cacheDir : "";
    return prepareBundle({ cacheDir }).demoPath;
  } catch (error) {
    if (!(error instanceof LmError)) throw error;
    note(error.message);
    return null;
  }
}

/** Every quantisation of the model that `name` means. */
async function variantsOf(catalog: ModelCatalog, name: string): Promise<readonly CatalogModel[]> {
  const model = await catalog.find(name);
  if (model === null) throw new ExitError(EXIT.failed, `No model is called "${name}".`);
  const base = baseOf(model);
  return (await catalog.list()).filter((other) => baseOf(other) === base);
}

const baseOf = (model: CatalogModel): string => model.variant.split("@")[0] ?? model.key;

function listing(all: readonly CatalogModel[], models: readonly CatalogModel[]): string[] {
  if (all.length === 0) return ["You have not downloaded any models yet."];
  if (models.length === 0)
    return [`You have ${count(all.length)}, but none of them match the filter.`];
  const bytes = all.reduce((sum, model) => sum + model.sizeBytes, 0);
  const lines = [`You have ${count(all.length)}, taking up ${sizeText(bytes)} of disk space.`];
  for (const kind of ["llm", "embedding"] as const) {
    const rows = models.filter((model) => model.kind === kind).map(row);
    if (rows.length === 0) continue;
    const head = [kind === "llm" ? "LLM" : "EMBEDDING", "PARAMS", "ARCH", "QUANT", "SIZE"];
    lines.push("", ...textTable([head, ...rows]));
  }
  return lines;
}

const count = (models: number): string => (models === 1 ? "1 model" : `${models} models`);

const row = (model: CatalogModel): string[] => [
  model.key,
  model.parameters ?? "",
  model.architecture,
  model.quantization ?? "",
  sizeText(model.sizeBytes),
];

function brokenLines(broken: readonly BrokenModel[]): string[] {
  if (broken.length === 0) return [];
  const lines = broken.map(({ path, reason }) => `  ${JSON.stringify(path)}: ${reason}`);
  return [`${count(broken.length)} cannot be used:`, ...lines];
}
