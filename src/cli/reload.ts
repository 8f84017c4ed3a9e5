import type { ServeConfig } from "../config/config.ts";
import { SERVE_SETTINGS } from "../config/settings.ts";
import { LmError } from "../lib/errors.ts";
import type { Log, LogLevel } from "../lib/log.ts";
import { planServe, type ServePlan } from "./serve-config.ts";

/** Settings that take effect without a restart. */
const LIVE = ["logLevel", "aliases"] as const;

export interface Reload {
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** What the server started with. */
  running: Pick<ServePlan, "config" | "apiKeys">;
  /** Changed in place. */
  live: { logLevel: LogLevel; aliases: ServeConfig["aliases"] };
  log: Log;
}

/** Reads the configuration again and takes over what can change; a bad one changes nothing. */
export function reloadConfig({ args, env, running, live, log }: Reload): void {
  let plan: ServePlan;
  try {
    plan = planServe(args, env);
  } catch (error) {
    if (!(error instanceof LmError)) throw error;
    log.warn("the configuration was not reloaded", { reason: error.message });
    return;
  }
  const { config } = plan;
  live.logLevel = config.logLevel;
  live.aliases = config.aliases;
  const names = Object.keys(SERVE_SETTINGS) as (keyof typeof SERVE_SETTINGS)[];
  const fixed = names.filter((name) => !(LIVE as readonly string[]).includes(name));
  const waiting = fixed.filter((name) => !Bun.deepEquals(running.config[name], config[name]));
  const flags = waiting.map((name) => SERVE_SETTINGS[name].flag);
  // The keys of a file may be others although the file is the same.
  const hasOtherKeys = !Bun.deepEquals(running.apiKeys, plan.apiKeys);
  if (hasOtherKeys && !flags.some((flag) => flag.startsWith("api-key"))) flags.push("api-key-file");
  log.info("the configuration was reloaded", { needsRestart: flags.join(", ") || null });
}
