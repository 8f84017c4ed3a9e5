import { accessSync, constants, mkdirSync, readFileSync, statSync } from "node:fs";
import type { CatalogFolder } from "../catalog/model-catalog.ts";
import { invalidConfig, resolveConfig, type ServeConfig } from "../config/config.ts";
import { configPath, resolveFolders, type Folders } from "../config/paths.ts";
import { TokenFile } from "../config/tokens.ts";
import { LmError } from "../lib/errors.ts";
import { systemCode } from "../lib/system-code.ts";
import { CONFIG_FILE, SERVE_SETTINGS } from "../config/settings.ts";
import { ModelPresets } from "./model-presets.ts";
import { modelsDirProblems } from "./models-folders.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Everything `serve` was told, checked against the disk as well. */
export interface ServePlan {
  config: ServeConfig;
  folders: Folders;
  /** Keys that clients must show one of; empty = no authentication. */
  apiKeys: readonly string[];
  /** What gives one of the keys in a shell on this machine; null = nothing that may be shown. */
  keyInShell: string | null;
  /** Text that replaces the models' own chat templates; null = their own. */
  chatTemplate: string | null;
  /** What is set for some models only. */
  presets: ModelPresets;
  /** Sentences for the person who starts the server. */
  warnings: readonly string[];
}

/** All settings of `serve`, with the one that names the file of the others. */
export const SERVE_FLAGS = { ...SERVE_SETTINGS, config: CONFIG_FILE };

/**
 * Reads flags, environment and configuration file, and looks at the files and folders they name.
 * @throws LmError invalid_config with every problem found.
 */
export function planServe(args: readonly string[], env: Environment): ServePlan {
  const { values, fromFlags, problems: all } = readServe(args, env);
  const warnings: string[] = [];
  const found = resolveFolders(values, env);
  const folders = "folders" in found ? found.folders : null;
  if ("problems" in found) all.push(...found.problems);
  if (folders !== null) all.push(...checkModelsDirs(folders));
  const apiKeys = [...values.apiKeys, ...readKeyFile(values.apiKeyFile, all, warnings)];
  // Read in any case: a damaged file is told at the start, not by the first request.
  const isTokened = hasTokens(folders, all);
  if (values.requireAuth === true && apiKeys.length === 0 && !isTokened)
    all.push(
      "--require-auth needs a key or token: give one with --api-key-file, or make one with lmserver token create",
    );
  if (values.requireAuth === null && apiKeys.length === 0 && isTokened && folders !== null)
    warnings.push(
      "There are tokens, but no request needs one; start with --require-auth to demand them.",
    );
  if (fromFlags.has("apiKeys"))
    warnings.push(
      "The key given with --api-key is visible to every user of this machine (ps); prefer --api-key-file.",
    );
  const chatTemplate = readTemplate(values.chatTemplate, all);
  const presets = new ModelPresets(values.presets, all);
  if (all.length > 0 || folders === null) throw invalidConfig(all);
  const demanded = values.requireAuth === false ? [] : apiKeys;
  const keyInShell = shellKey(values, fromFlags.has("apiKeys"));
  return {
    config: values,
    folders,
    apiKeys: demanded,
    keyInShell,
    chatTemplate,
    presets,
    warnings,
  };
}

/** Flags, environment and configuration file alone; nothing they name is looked at. */
export function readServe(args: readonly string[], env: Environment) {
  const file = findConfigFile(args, env);
  const { values, positionals, fromFlags, problems } = resolveConfig(SERVE_FLAGS, {
    args,
    env,
    file,
  });
  const surplus = (problems.length > 0 ? [] : positionals).map(
    (word) => `${JSON.stringify(word.slice(0, 80))} is not a flag; serve takes no other words`,
  );
  return { values, fromFlags, problems: [...problems, ...surplus] };
}

/** Never the key itself: what is printed at the start ends up in logs. */
function shellKey({ apiKeys, apiKeyFile }: ServeConfig, isFromFlag: boolean): string | null {
  if (apiKeyFile !== null) return `$(grep -m 1 '^[^#]' '${apiKeyFile.replaceAll("'", `'\\''`)}')`;
  return apiKeys.length > 0 && !isFromFlag ? "$LMSERVER_API_KEY" : null;
}

/** The folders to scan for models, ours first. */
export function catalogFolders({ modelsDirs, lmStudioDir, stores }: Folders): CatalogFolder[] {
  const own = modelsDirs.map((path) => ({ path, source: "models-dir" }) as const);
  const lmStudio =
    lmStudioDir === null ? [] : [{ path: lmStudioDir, source: "lm-studio" } as const];
  return [...own, ...lmStudio, ...stores];
}

/** The file named by flag or environment, else the default one. */
export function findConfigFile(
  args: readonly string[],
  env: Environment,
): { path: string; isExplicit: boolean } | null {
  const { values } = resolveConfig({ config: CONFIG_FILE }, { args, env, file: null });
  if (values.config !== null) return { path: values.config, isExplicit: true };
  const path = configPath(env);
  return path === null ? null : { path, isExplicit: false };
}

/** Problems of the models folders; creates a missing one when it is the default. */
function checkModelsDirs(folders: Folders): string[] {
  const problems = modelsDirProblems(folders);
  if (problems.length > 0 || !folders.isDefaultModelsDir) return problems;
  return folders.modelsDirs.flatMap((path) => {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return [];
    } catch (error) {
      return [`--models-dir must be given, because ${path} cannot be created (${codeOf(error)})`];
    }
  });
}

function hasTokens(folders: Folders | null, problems: string[]): boolean {
  if (folders === null) return true; // told as a problem of its own
  try {
    return new TokenFile(folders.stateDir).list().length > 0;
  } catch (error) {
    problems.push(error instanceof LmError ? error.message : "the tokens cannot be read");
    return true;
  }
}

/** Keys, one per line; empty lines and lines that start with # are passed over. */
function readKeyFile(path: string | null, problems: string[], warnings: string[]): string[] {
  if (path === null) return [];
  try {
    const mode = statSync(path).mode & 0o777;
    const keys = readFileSync(path, "utf8")
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== "" && !line.startsWith("#"));
    if (keys.length === 0) problems.push(`--api-key-file: ${path} holds no key`);
    if ((mode & 0o077) !== 0)
      warnings.push(
        `The key file ${path} can be read by other users (mode ${mode.toString(8)}); run: chmod 600 ${path}`,
      );
    return keys;
  } catch (error) {
    problems.push(`--api-key-file: ${path} cannot be read (${codeOf(error)})`);
    return [];
  }
}

function readTemplate(path: string | null, problems: string[]): string | null {
  if (path === null) return null;
  try {
    accessSync(path, constants.R_OK);
    return readFileSync(path, "utf8");
  } catch (error) {
    problems.push(`--chat-template: ${path} cannot be read (${codeOf(error)})`);
    return null;
  }
}

const codeOf = (error: unknown): string => systemCode(error) ?? "unknown failure";
