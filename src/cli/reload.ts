import type { ServeConfig } from "../config/config.ts";
import { LmError } from "../lib/errors.ts";
import type { Log, LogLevel } from "../lib/log.ts";
import { planServe } from "./serve-config.ts";

/** Settings that take effect without a restart. */
const LIVE = ["logLevel", "aliases"] as const;

export interface Reload {
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** What the server started with. */
  running: ServeConfig;
  /** Changed in place. */
  live: { logLevel: LogLevel; aliases: ServeConfig["aliases"] };
  log: Log;
}

/** Reads the configuration again and takes over what can change; a bad one changes nothing. */
export function reloadConfig({ args, env, running, live, log }: Reload): void {
  let next: ServeConfig;
  try {
    next = planServe(args, env).config;
  } catch (error) {
    if (!(error instanceof LmError)) throw error;
    log.warn("the configuration was not reloaded", { reason: error.message });
    return;
  }
  live.logLevel = next.logLevel;
  live.aliases = next.aliases;
  const names = Object.keys(running) as (keyof ServeConfig)[];
  const fixed = names.filter((name) => !(LIVE as readonly string[]).includes(name));
  const waiting = fixed.filter((name) => !Bun.deepEquals(running[name], next[name]));
  log.info("the configuration was reloaded", { needsRestart: waiting.join(", ") || null });
}
