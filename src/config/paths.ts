import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { foreignStores, type ForeignStore } from "./foreign-stores.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Folders of the program. All absolute. */
export interface Folders {
  /** The first receives downloads. */
  modelsDirs: readonly string[];
  /** LM Studio's own folder, read only; null when there is none or it is not adopted. */
  lmStudioDir: string | null;
  /** Models of other programs, read only; empty unless they are adopted. */
  stores: readonly ForeignStore[];
  stateDir: string;
  cacheDir: string;
  /** The first models folder is ours, so that a missing one may be created. */
  isDefaultModelsDir: boolean;
}

/** What was named explicitly; null or empty = use the default. */
export interface NamedFolders {
  modelsDirs: readonly string[];
  stateDir: string | null;
  cacheDir: string | null;
  /** Whether models of other programs are listed; null = unless models folders are named. */
  adopt?: boolean | null;
}

/**
 * Explicit folders, or the user's own below `$XDG_*` and the home folder.
 * @returns the folders, or one sentence per folder that has no default here.
 */
export function resolveFolders(
  named: NamedFolders,
  env: Environment,
): { folders: Folders } | { problems: readonly string[] } {
  const home = homeFolder(env);
  const stateDir = named.stateDir ?? xdgFolder(env, home, "XDG_STATE_HOME", ".local/state");
  const cacheDir = cacheFolder(named, env);
  const isDefaultModelsDir = named.modelsDirs.length === 0;
  const ownModels = home === null ? null : join(home, ".lmserver/models");
  const isAdopting = named.adopt ?? isDefaultModelsDir;
  const problems: string[] = [];
  const missing = (flag: string): void => {
    problems.push(`--${flag} must be given, because HOME is not set`);
  };
  if (isDefaultModelsDir && ownModels === null) missing("models-dir");
  if (stateDir === null) missing("state-dir");
  if (problems.length > 0 || stateDir === null || cacheDir === null) return { problems };
  const modelsDirs = isDefaultModelsDir ? [ownModels ?? ""] : named.modelsDirs;
  return {
    folders: {
      modelsDirs: modelsDirs.map((path) => resolve(path)),
      lmStudioDir: isAdopting && home !== null ? lmStudioModels(home) : null,
      stores: isAdopting ? foreignStores(env, home) : [],
      stateDir: resolve(stateDir),
      cacheDir,
      isDefaultModelsDir,
    },
  };
}

/**
 * Where carried libraries and computed prompts lie. Without a home that is below the state folder.
 * @returns An absolute path; null when neither folder is known.
 */
export function cacheFolder(
  named: Pick<NamedFolders, "stateDir" | "cacheDir">,
  env: Environment,
): string | null {
  const home = homeFolder(env);
  const own = named.cacheDir ?? xdgFolder(env, home, "XDG_CACHE_HOME", ".cache");
  if (own !== null) return resolve(own);
  const stateDir = named.stateDir ?? xdgFolder(env, home, "XDG_STATE_HOME", ".local/state");
  return stateDir === null ? null : resolve(stateDir, "cache");
}

/** The default configuration file; null without a home. It need not exist. */
export function configPath(env: Environment): string | null {
  const folder = xdgFolder(env, homeFolder(env), "XDG_CONFIG_HOME", ".config");
  return folder === null ? null : join(folder, "config.json");
}

/** Our folder below an XDG base folder. Source: XDG Base Directory Specification: relative = unset. */
function xdgFolder(
  env: Environment,
  home: string | null,
  variable: string,
  underHome: string,
): string | null {
  const base = env[variable];
  if (base !== undefined && isAbsolute(base)) return join(base, "lmserver");
  return home === null ? null : join(home, underHome, "lmserver");
}

/** Only what the environment says: the user database may name a folder that is not ours to use. */
function homeFolder(env: Environment): string | null {
  const home = process.platform === "win32" ? (env["USERPROFILE"] ?? homedir()) : env["HOME"];
  return home !== undefined && isAbsolute(home) ? home : null;
}

/** LM Studio's models, following the pointer file that says where its home was moved. */
function lmStudioModels(home: string): string | null {
  const pointer = join(home, ".lmstudio-home-pointer");
  const moved = existsSync(pointer) ? readFileSync(pointer, "utf8").trim() : "";
  const models = join(isAbsolute(moved) ? moved : join(home, ".lmstudio"), "models");
  return statSync(models, { throwIfNoEntry: false })?.isDirectory() === true ? models : null;
}
