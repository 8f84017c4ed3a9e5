import { resolve } from "node:path";
import { buildInfo, prepareBundle } from "../bundle/bundle.ts";
import { ModelCatalog, type CatalogFolder } from "../catalog/model-catalog.ts";
import { resolveFolders } from "../config/paths.ts";
import { SERVE_SETTINGS } from "../config/settings.ts";
import { systemClock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import { silentLog } from "../lib/log.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";
import { modelsDirProblems } from "./models-folders.ts";
import { catalogFolders } from "./serve-config.ts";
import type { Target } from "./server-client.ts";
import type { ServerState } from "./state-lock.ts";

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
  return openCatalog(
    "folders" in found ? catalogFolders(found.folders) : namedFolders(values),
    values.demo ? demoPath(found, note) : null,
  );
}

function openCatalog(folders: readonly CatalogFolder[], demo: string | null): ModelCatalog {
  return new ModelCatalog({
    folders,
    demoPath: demo,
    chatTemplate: null,
    aliases: () => [],
    clock: systemClock,
    log: silentLog,
  });
}

/** The models where a server of this machine finds them; null when there is none that says where. */
export function openServerCatalog(server: ServerState | null): ModelCatalog | null {
  const places = server?.catalog;
  return places === undefined ? null : openCatalog(places.folders, places.demoPath);
}

/**
 * The models of this user's server when it is the one meant, unless other folders are named; else
 * those that a server here would see.
 * @throws ExitError usage when it is unknown where they lie.
 */
export function openCatalogHere(
  values: Parameters<typeof openLocalCatalog>[0],
  { own }: Target,
  terminal: Pick<Terminal, "env" | "note">,
): ModelCatalog {
  const shared = namesOtherFolders(values, own) ? null : openServerCatalog(own);
  return shared ?? openLocalCatalog(values, terminal);
}

/** Whether models folders are named that are not those of this server. */
export function namesOtherFolders(
  { modelsDirs }: { modelsDirs: readonly string[] },
  server: ServerState | null,
): boolean {
  if (modelsDirs.length === 0) return false;
  const own = (server?.catalog?.folders ?? []).filter(({ source }) => source === "models-dir");
  return !Bun.deepEquals(
    modelsDirs.map((path) => resolve(path)),
    own.map(({ path }) => path),
  );
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
