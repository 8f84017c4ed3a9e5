import { resolve } from "node:path";
import { buildInfo, prepareBundle } from "../bundle/bundle.ts";
import { ModelCatalog, type CatalogFolder } from "../catalog/model-catalog.ts";
import { cacheFolder, resolveFolders } from "../config/paths.ts";
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
  stateDir: SERVE_SETTINGS.stateDir,
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
    stateDir: string | null;
    cacheDir: string | null;
    demo: boolean;
  },
  { env, note }: Pick<Terminal, "env" | "note">,
): ModelCatalog {
  const { modelsDirs, adopt = null } = values;
  const found = resolveFolders({ modelsDirs, adopt, stateDir: ".", cacheDir: "." }, env);
  if ("problems" in found) throw new ExitError(EXIT.usage, found.problems.join("\n"));
  const demo = values.demo ? demoPath(cacheFolder(values, env), note) : null;
  return openCatalog(catalogFolders(found.folders), demo);
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

/** The carried model lies in the cache folder; without a usable one it is not listed. */
function demoPath(cacheDir: string | null, note: (line: string) => void): string | null {
  if (cacheDir === null && buildInfo().isStandalone) return null;
  try {
    return prepareBundle({ cacheDir: cacheDir ?? "" }).demoPath;
  } catch (error) {
    if (!(error instanceof LmError)) throw error;
    note(error.message);
    return null;
  }
}
