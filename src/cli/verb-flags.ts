import { invalidConfig, resolveConfig, type Values } from "../config/config.ts";
import type { Setting } from "../config/setting.ts";
import { CONFIG_FILE } from "../config/settings.ts";
import type { Terminal } from "./command.ts";
import { findConfigFile } from "./serve-config.ts";

/**
 * Reads the flags of a verb. Settings it shares with `serve` are also taken from the environment
 * and the configuration file.
 * @throws LmError invalid_config with every problem.
 */
export function parseVerb<S extends Readonly<Record<string, Setting>>>(
  settings: S,
  args: readonly string[],
  env: Terminal["env"],
  limits: { operands: number },
): { values: Values<S>; operands: readonly string[]; fromFlags: ReadonlySet<string> } {
  const isShared = Object.values(settings).some((setting) => setting.fileKey !== null);
  const file = isShared ? findConfigFile(args, env) : null;
  const all = isShared ? { ...settings, config: CONFIG_FILE } : settings;
  const { values, positionals, fromFlags, problems } = resolveConfig(all, { args, env, file });
  const surplus = problems.length > 0 ? [] : positionals.slice(limits.operands);
  const found = [
    ...problems,
    ...surplus.map((word) => `${JSON.stringify(word.slice(0, 80))} is one word too many`),
  ];
  if (found.length > 0) throw invalidConfig(found);
  return { values, operands: positionals, fromFlags };
}
