import { isAbsolute, resolve } from "node:path";
import { PROXY_VARIABLES } from "../catalog/download/proxy.ts";
import { resolveConfig, type ServeConfig } from "../config/config.ts";
import { STORE_VARIABLES } from "../config/foreign-stores.ts";
import { negatedVariable, type Setting } from "../config/setting.ts";
import { EXIT, ExitError, type Terminal } from "./command.ts";
import { SERVE_FLAGS } from "./serve-config.ts";

const SETTINGS: readonly (readonly [string, Setting])[] = Object.entries(SERVE_FLAGS);
const isPath = ({ argument }: Setting): boolean => argument === "<folder>" || argument === "<file>";
const PATH_FLAGS = SETTINGS.flatMap(([, entry]) => (isPath(entry) ? [`--${entry.flag}`] : []));

/** Where a start looks for folders that nobody names; it heeds absolute paths only. */
const FOLDERS = ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", ...STORE_VARIABLES];
/** How it reaches the hub. */
const OUTBOUND = ["HF_ENDPOINT", ...PROXY_VARIABLES];
const TOKEN = "HF_TOKEN";

/** Flags of `serve` that mean the same in a service, which starts in another folder. */
export function absoluteFlags(args: readonly string[]): string[] {
  return args.map((word, index) => {
    const [flag = "", ...value] = word.split("=");
    if (value.length > 0 && PATH_FLAGS.includes(flag)) return `${flag}=${resolve(value.join("="))}`;
    return PATH_FLAGS.includes(args[index - 1] ?? "") ? resolve(word) : word;
  });
}

/**
 * The variables that a start with these flags would heed; a service manager passes on none.
 * @throws ExitError usage when a key is among them: the service's file is no place for it.
 */
export function serviceEnvironment(
  args: readonly string[],
  env: Terminal["env"],
): Record<string, string> {
  const { fromFlags } = resolveConfig(SERVE_FLAGS, { args, env, file: null });
  const kept: Record<string, string> = {};
  for (const name of FOLDERS) {
    const folder = env[name] ?? "";
    if (isAbsolute(folder)) kept[name] = folder;
  }
  const withheld = withheldVariables(env);
  for (const name of OUTBOUND) {
    const text = env[name] ?? "";
    if (text !== "" && !withheld.includes(name)) kept[name] = text;
  }
  for (const [key, entry] of SETTINGS) {
    const name = [...entry.env, negatedVariable(entry) ?? ""].find(
      (variable) => (env[variable] ?? "") !== "",
    );
    if (name === undefined || fromFlags.has(key)) continue;
    if (entry.isSecret)
      throw new ExitError(
        EXIT.usage,
        `${name} is set, and a key does not belong into the service's file: ` +
          `write it to a file of your own, give that with --${entry.flag}-file, and unset ${name}`,
      );
    kept[name] = isPath(entry) ? absolutePaths(env[name] ?? "", entry) : (env[name] ?? "");
  }
  return kept;
}

/** Variables that a start would heed and that hold a secret, which the service's file may not. */
export function withheldVariables(env: Terminal["env"]): string[] {
  const hasPassword = (name: string): boolean => (env[name] ?? "").includes("@");
  const isSet = (env[TOKEN] ?? "").trim() !== "";
  return [...(isSet ? [TOKEN] : []), ...OUTBOUND.filter(hasPassword)];
}

function absolutePaths(text: string, { envSeparator }: Setting): string {
  if (envSeparator === null) return resolve(text);
  const paths = text.split(envSeparator).filter((path) => path !== "");
  return paths.map((path) => resolve(path)).join(envSeparator);
}

/** One sentence per path, of the configuration file or of a preset, that depends on the folder. */
export function relativePaths(values: ServeConfig): string[] {
  const named = SETTINGS.filter(([, entry]) => isPath(entry)).flatMap(([key, { flag }]) => {
    const value = new Map<string, unknown>(Object.entries(values)).get(key);
    return [value].flat().map((path) => [flag, path] as const);
  });
  const ofPresets = values.presets.flatMap(({ model, preset }) => {
    const paths = [preset.chatTemplate, ...(preset.lora ?? []).map(({ path }) => path)];
    return paths.map((path) => [`preset of ${model}`, path] as const);
  });
  return [...named, ...ofPresets].flatMap(([origin, path]) =>
    typeof path !== "string" || isAbsolute(path)
      ? []
      : `${origin}: ${JSON.stringify(path.slice(0, 200))} must be an absolute path: a service starts in another folder`,
  );
}
