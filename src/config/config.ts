import { readFileSync } from "node:fs";
import type { Static } from "typebox";
import { Value } from "typebox/value";
import { LmError } from "../lib/errors.ts";
import { systemCode } from "../lib/system-code.ts";
import { readFlags } from "./flags.ts";
import { nearest } from "./nearest.ts";
import { negatedVariable, type Setting } from "./setting.ts";
import { SERVE_SETTINGS } from "./settings.ts";

type Settings = Readonly<Record<string, Setting>>;

/** The values of a table of settings. */
export type Values<S extends Settings> = { readonly [Name in keyof S]: Static<S[Name]["schema"]> };

/** Everything `lmserver serve` was told. */
export type ServeConfig = Values<typeof SERVE_SETTINGS>;

/** Where settings come from, the strongest first. */
export interface ConfigSources {
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  /** The configuration file; null = none. A missing file is a problem only when `isExplicit`. */
  file: { path: string; isExplicit: boolean } | null;
}

export interface Resolved<S extends Settings> {
  values: Values<S>;
  /** Words of the command line that are no flags. */
  positionals: readonly string[];
  /** Settings given on the command line itself. */
  fromFlags: ReadonlySet<string>;
  /** One sentence each; empty when everything makes sense. */
  problems: readonly string[];
}

interface Found {
  value: unknown;
  /** How the source calls the setting, for example `--port` or `LMSERVER_PORT`. */
  origin: string;
  /** What was written, for the text of a problem. */
  shown: string;
}

/**
 * Flag over environment over configuration file over default. Never throws: a setting with a
 * problem has its default, so that the caller can look for more problems and report all of them.
 */
export function resolveConfig<S extends Settings>(
  settings: S,
  sources: ConfigSources,
): Resolved<S> {
  const flags = readFlags(sources.args, settings);
  const problems = [...flags.problems];
  const file =
    sources.file === null ? new Map<string, unknown>() : readFile(sources.file, problems);
  const values: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, setting] of Object.entries(settings)) {
    const words = flags.values.get(name);
    const found =
      words === undefined
        ? (fromEnv(setting, sources.env) ?? fromFile(setting, file, sources.file?.path ?? ""))
        : { value: setting.read(words), origin: `--${setting.flag}`, shown: words.join(", ") };
    const isValid = found !== null && Value.Check(setting.schema, found.value);
    values[name] = isValid ? found.value : setting.fallback;
    if (found !== null && !isValid) problems.push(...problemsOf(setting, found));
  }
  const { positionals } = flags;
  const fromFlags = new Set(flags.values.keys());
  return { values: Object.freeze(values) as Values<S>, positionals, fromFlags, problems };
}

/** Every problem on its own line. */
export function invalidConfig(problems: readonly string[]): LmError<"invalid_config"> {
  const [first = "", ...rest] = problems;
  const message =
    rest.length === 0
      ? first
      : `Invalid settings:\n${problems.map((line) => `  ${line}`).join("\n")}`;
  return new LmError("invalid_config", { problems }, message);
}

function fromEnv(setting: Setting, env: ConfigSources["env"]): Found | null {
  for (const name of setting.env) {
    const text = env[name];
    // An empty variable counts as unset, as in LM Studio's command line.
    if (text === undefined || text === "") continue;
    const separator = setting.envSeparator;
    const words = separator === null ? [text] : text.split(separator).filter((word) => word !== "");
    return { value: setting.read(words), origin: name, shown: text };
  }
  return fromNegated(setting, env);
}

function fromNegated(setting: Setting, env: ConfigSources["env"]): Found | null {
  const name = negatedVariable(setting);
  const text = name === null ? undefined : env[name];
  if (name === null || text === undefined || text === "") return null;
  const value = setting.read([text]);
  return { value: typeof value === "boolean" ? !value : value, origin: name, shown: text };
}

function fromFile(
  setting: Setting,
  file: ReadonlyMap<string, unknown>,
  label: string,
): Found | null {
  if (setting.fileKey === null || !file.has(setting.fileKey)) return null;
  const value = file.get(setting.fileKey);
  const shown = JSON.stringify(value) ?? "";
  return { value: setting.fromFile(value), origin: `${label}: ${setting.fileKey}`, shown };
}

function problemsOf(setting: Setting, found: Found): string[] {
  const clauses = setting.explain?.(found.value) ?? [];
  if (clauses.length > 0) return clauses.map((clause) => `${found.origin}: ${clause}`);
  const shown = setting.isSecret ? "the value given" : JSON.stringify(found.shown.slice(0, 80));
  return [`${found.origin}: ${shown} is not ${setting.accepts}`];
}

function readFile(
  { path, isExplicit }: { path: string; isExplicit: boolean },
  problems: string[],
): ReadonlyMap<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const isMissing = systemCode(error) === "ENOENT";
    if (isExplicit || !isMissing) problems.push(`--config: ${path} cannot be read`);
    return new Map();
  }
  let content: unknown;
  try {
    // Editors on Windows begin a file with a byte order mark.
    content = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    const said = error instanceof Error ? error.message.replace(/^JSON Parse error: /, "") : "";
    problems.push(`${path}: is not valid JSON (${said})`);
    return new Map();
  }
  if (content === null || typeof content !== "object" || Array.isArray(content)) {
    problems.push(`${path}: is not a JSON object`);
    return new Map();
  }
  const entries = Object.entries(content) as [string, unknown][];
  const known = Object.values(SERVE_SETTINGS).flatMap((setting) => setting.fileKey ?? []);
  for (const [key] of entries) {
    if (known.includes(key)) continue;
    const suggestion = nearest(key, known);
    const hint = suggestion === null ? "" : `; did you mean "${suggestion}"?`;
    problems.push(`${path}: ${JSON.stringify(key.slice(0, 80))} is not a setting${hint}`);
  }
  return new Map(entries);
}
