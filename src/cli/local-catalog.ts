import { buildInfo, prepareBundle } from "../bundle/bundle.ts";
import { ModelCatalog } from "../catalog/model-catalog.ts";
import { resolveFolders } from "../config/paths.ts";
import { SERVE_SETTINGS } from "../config/settings.ts";
import { systemClock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import { silentLog } from "../lib/log.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";
import { modelsDirProblems } from "./models-folders.ts";
import { catalogFolders } from "./serve-config.ts";

/** Settings that say which models are on this machine. */
export const CATALOG_FLAGS = {
  modelsDirs: SERVE_SETTINGS.modelsDirs,
  adopt: SERVE_SETTINGS.adopt,
  cacheDir: SERVE_SETTINGS.cacheDir,
  demo: SERVE_SETTINGS.demo,
};

/**
 * The models on this machine as a server here would see them, without one.
 * @throws ExitError usage when it is unknown where they lie.
 */
export function openLocalCatalog(
  values: {
    modelsDirs: readonly string[];
    adopt?: boolean | null;
    cacheDir: string | null;
    demo: boolean;
  },
  { env, note }: Pick<Terminal, "env" | "note">,
): ModelCatalog {
  const found = resolveFolders({ ...values, stateDir: "." }, env);
  if ("problems" in found) {
    const wanted = found.problems.filter((problem) => problem.includes("--models-dir"));
    if (wanted.length > 0) throw new ExitError(EXIT.usage, wanted.join("\n"));
  }
  return new ModelCatalog({
    folders: "folders" in found ? catalogFolders(found.folders) : namedFolders(values),
    demoPath: values.demo ? demoPath(found, note) : null,
    chatTemplate: null,
    aliases: () => [],
    clock: systemClock,
    log: silentLog,
  });
}

/**
 * The folders whose models are ours, the first of which receives new ones.
 * @throws ExitError usage when there is none, or one that was named does not exist.
 */
export function ownModelsDirs(
  named: readonly string[],
  env: Terminal["env"],
): readonly [string, ...string[]] {
  const found = resolveFolders({ modelsDirs: named, stateDir: ".", cacheDir: "." }, env);
  const problems = "folders" in found ? modelsDirProblems(found.folders) : [];
  if (problems.length > 0) throw new ExitError(EXIT.usage, problems.join("\n"));
  const [first, ...others] = "folders" in found ? found.folders.modelsDirs : [];
  if (first !== undefined) return [first, ...others];
  throw new ExitError(EXIT.usage, "--models-dir must be given, because HOME is not set");
}

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
