import { parseArgs } from "node:util";
import { nearest } from "./nearest.ts";
import type { Setting } from "./setting.ts";

/** What a command line says, before any value is checked. */
export interface Flags<Name extends string> {
  /** The words given for each setting, in order; "true" or "false" for switches. */
  values: ReadonlyMap<Name, readonly string[]>;
  positionals: readonly string[];
  /** Sentences about flags that make no sense. */
  problems: readonly string[];
}

type Named<Name extends string> = readonly (readonly [Name, Setting])[];

/**
 * Splits a command line into settings and other words. `--x value`, `--x=value`, `-x value`;
 * switches also as `--no-x` and `--x=true`.
 */
export function readFlags<Name extends string>(
  args: readonly string[],
  settings: Readonly<Record<Name, Setting>>,
): Flags<Name> {
  const named = Object.entries(settings) as unknown as Named<Name>;
  const byFlag = new Map<string, readonly [Name, Setting]>();
  const options: Record<string, { type: "boolean" | "string"; short?: string }> = {};
  for (const entry of named) {
    const { flag, otherFlag, short, argument } = entry[1];
    const type = argument === null ? "boolean" : "string";
    byFlag.set(flag, entry);
    options[flag] = { type, ...(short === null ? {} : { short }) };
    if (otherFlag === null) continue;
    byFlag.set(otherFlag, entry);
    options[otherFlag] = { type };
  }
  const { tokens } = parseArgs({
    args: fillBareFlags(args, named),
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<Name, string[]>();
  const positionals: string[] = [];
  const problems: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const negated = token.name.startsWith("no-") ? byFlag.get(token.name.slice(3)) : undefined;
    const found = byFlag.get(token.name) ?? negated;
    const text = found === undefined ? undefined : valueOf(token, found[1], found === negated);
    if (found === undefined) problems.push(unknownFlag(token.rawName, byFlag.keys()));
    else if (text === undefined) problems.push(missingValue(token, found[1], found === negated));
    else values.set(found[0], [...(values.get(found[0]) ?? []), text]);
  }
  return { values, positionals, problems };
}

interface OptionToken {
  rawName: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
}

/** The word that stands for this flag; undefined when it lacks its value. */
function valueOf(token: OptionToken, setting: Setting, isNegated: boolean): string | undefined {
  const isSwitch = setting.argument === null;
  if (isNegated)
    return token.value === undefined && (isSwitch || setting.bareValue !== null)
      ? "false"
      : undefined;
  if (isSwitch) return token.value ?? "true";
  const looksLikeFlag = token.inlineValue === false && token.value?.startsWith("--") === true;
  return looksLikeFlag ? undefined : token.value;
}

function missingValue(token: OptionToken, setting: Setting, isNegated: boolean): string {
  return isNegated
    ? `${token.rawName} is not a switch: use --${setting.flag} ${setting.argument ?? ""}`.trim()
    : `${token.rawName} needs a value: ${setting.accepts}`;
}

function unknownFlag(rawName: string, known: Iterable<string>): string {
  const word = rawName.replace(/^--?(no-)?/, "");
  const suggestion = nearest(word, known);
  const shown = JSON.stringify(rawName).slice(1, -1).slice(0, 80);
  return `${shown} is not a flag${suggestion === null ? "" : `; did you mean --${suggestion}?`}`;
}

/** Gives flags that may stand alone their value, so that they do not swallow the next word. */
function fillBareFlags<Name extends string>(args: readonly string[], named: Named<Name>): string[] {
  const bare = new Map<string, string>();
  for (const [, { flag, bareValue }] of named) {
    if (bareValue !== null) bare.set(`--${flag}`, `--${flag}=${bareValue}`);
  }
  return args.map((arg, index) => {
    const next = args[index + 1];
    return next === undefined || next.startsWith("-") ? (bare.get(arg) ?? arg) : arg;
  });
}
