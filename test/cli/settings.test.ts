import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveConfig, type ServeConfig } from "../../src/config/config.ts";
import { SERVE_SETTINGS } from "../../src/config/settings.ts";
import { runCommand } from "../support/run-command.ts";
import { SETTING_PLACES } from "../support/setting-places.ts";
import { tempFolder } from "../support/temp-folder.ts";

/**
 * Each flag by flag, variable and configuration file, on the executable: all problems are told at
 * once, so that one start per place shows that every setting is read there, and a stronger place
 * silences a weaker one.
 */

setDefaultTimeout(60_000);

const NAMES = Object.keys(SETTING_PLACES) as (keyof ServeConfig)[];

/** Values that most settings refuse. */
const ODD_TEXTS = ["?!", "-5", "\u0000", ""];
const ODD_VALUES = [{}, [{}], -5, "?!"];

const flagOf = (name: keyof ServeConfig): string => `--${SERVE_SETTINGS[name].flag}`;
const variableOf = (name: keyof ServeConfig): string => SERVE_SETTINGS[name].env[0] ?? "";
const keyOf = (name: keyof ServeConfig): string => SERVE_SETTINGS[name].fileKey ?? "";

function isRefused(name: keyof ServeConfig, place: "args" | "env" | "file", odd: unknown): boolean {
  using folder = tempFolder();
  const path = join(folder.path, "config.json");
  writeFileSync(path, JSON.stringify({ [keyOf(name)]: odd }));
  const { problems } = resolveConfig(SERVE_SETTINGS, {
    args: place === "args" ? [`${flagOf(name)}=${String(odd)}`] : [],
    env: place === "env" ? { [variableOf(name)]: String(odd) } : {},
    file: place === "file" ? { path, isExplicit: true } : null,
  });
  return problems.length > 0;
}

/** Settings with a value they refuse in that place; folders and the like take any text. */
function oddOnes<T>(place: "args" | "env" | "file", odd: readonly T[]): [keyof ServeConfig, T][] {
  return NAMES.flatMap((name) => {
    const found = odd.find((value) => isRefused(name, place, value));
    return found === undefined ? [] : [[name, found] as [keyof ServeConfig, T]];
  });
}

const ODD_FLAGS = oddOnes(
  "args",
  ODD_TEXTS.filter((text) => text !== "\u0000"),
);
const ODD_VARIABLES = oddOnes(
  "env",
  ODD_TEXTS.filter((text) => text !== "\u0000" && text !== ""),
);
const ODD_KEYS = oddOnes("file", ODD_VALUES);

async function refusal(args: string[], env: Record<string, string>, file?: object) {
  using folder = tempFolder();
  const path = join(folder.path, "config.json");
  if (file !== undefined) writeFileSync(path, JSON.stringify(file));
  const config = file === undefined ? [] : ["--config", path];
  const result = await runCommand(["serve", ...config, ...args], { HOME: folder.path, ...env });
  expect({ code: result.code, stdout: result.stdout }).toEqual({ code: 2, stdout: "" });
  return result.stderr;
}

const badFlags = ODD_FLAGS.map(([name, odd]) => `${flagOf(name)}=${odd}`);
const badVariables = Object.fromEntries(
  ODD_VARIABLES.map(([name, odd]) => [variableOf(name), odd]),
);
const badKeys = Object.fromEntries(ODD_KEYS.map(([name, odd]) => [keyOf(name), odd]));

test("few settings take any text", () => {
  expect(ODD_FLAGS.length).toBeGreaterThan(NAMES.length - 12);
  expect(ODD_VARIABLES.length).toBeGreaterThan(NAMES.length - 12);
  expect(ODD_KEYS.length).toBe(NAMES.filter((name) => keyOf(name) !== "").length);
});

test("every flag is read", async () => {
  const stderr = await refusal(badFlags, {});
  for (const [name] of ODD_FLAGS) expect(stderr).toContain(`${flagOf(name)}: `);
});

test("every variable is read", async () => {
  const stderr = await refusal([], badVariables);
  for (const [name] of ODD_VARIABLES) expect(stderr).toContain(`${variableOf(name)}: `);
});

test("every key of the configuration file is read", async () => {
  const stderr = await refusal([], {}, badKeys);
  for (const [name] of ODD_KEYS) expect(stderr).toContain(`${keyOf(name)}: `);
});

/** Enough to end the start when all else is well. */
const ONE_PROBLEM = ["--port=none"];

test("a variable silences the file", async () => {
  const names = ODD_KEYS.map(([name]) => name).filter((name) => name !== "port");
  const env = Object.fromEntries(names.map((name) => [variableOf(name), SETTING_PLACES[name].env]));
  const stderr = await refusal(ONE_PROBLEM, env, badKeys);
  expect(stderr).toContain("--port: ");
  for (const name of names) expect(stderr).not.toContain(`${keyOf(name)}: `);
});

test("a flag silences the variable", async () => {
  const names = ODD_VARIABLES.map(([name]) => name).filter((name) => name !== "port");
  const flags = names.flatMap((name) => SETTING_PLACES[name].args);
  const stderr = await refusal([...flags, ...ONE_PROBLEM], badVariables);
  expect(stderr).toContain("--port: ");
  for (const name of names) expect(stderr).not.toContain(`${variableOf(name)}: `);
});
