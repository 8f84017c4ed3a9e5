import { nearest } from "../config/nearest.ts";
import type { Setting } from "../config/setting.ts";
import { EXIT, ExitError } from "./command.ts";
import { VERBS, type Verb } from "./verbs.ts";

/** Explains the others, so it is not one of them. */
const HELP = { name: "help", summary: "Explain a verb" };

/** `lmserver help [verb]`. @throws ExitError when there is no such verb. */
export async function helpText(args: readonly string[]): Promise<string> {
  const [name = HELP.name] = args.filter((arg) => !arg.startsWith("-"));
  return name === HELP.name ? overview() : verbHelp(findVerb(name));
}

/** @throws ExitError naming the nearest verb. */
export function findVerb(name: string): Verb {
  const verb = VERBS.find((candidate) => candidate.name === name);
  if (verb !== undefined) return verb;
  const suggestion = nearest(
    name,
    [...VERBS, HELP].map((candidate) => candidate.name),
  );
  const hint = suggestion === null ? "Try: lmserver help" : `Did you mean: lmserver ${suggestion}`;
  throw new ExitError(EXIT.usage, `${JSON.stringify(name.slice(0, 80))} is not a verb. ${hint}`);
}

function overview(): string {
  const lines = [
    "An OpenAI-compatible server for local language models.",
    "",
    "Usage: lmserver [verb] [flags]",
    "",
    ...table([...VERBS, HELP].map((verb) => [`  ${verb.name}`, verb.summary])),
    "",
    "lmserver help <verb> explains one verb. Flags of serve may also be set as LMSERVER_<FLAG> or in",
    "the configuration file.",
  ];
  return lines.join("\n");
}

/** Usage and flags of one verb. */
export async function verbHelp(verb: Verb): Promise<string> {
  const command = await verb.load();
  const flags = Object.values(command.settings);
  const usage = ["Usage: lmserver", verb.name, command.operands, flags.length > 0 ? "[flags]" : ""];
  const lines = [`${verb.summary}.`, "", usage.filter((word) => word !== "").join(" ")];
  if (flags.length > 0)
    lines.push("", ...table(flags.map((flag) => [flagText(flag), describe(flag)])));
  return lines.join("\n");
}

function flagText({ flag, short, argument, fallback }: Setting): string {
  const name = argument === null && fallback === true ? `--[no-]${flag}` : `--${flag}`;
  return `  ${short === null ? "    " : `-${short}, `}${name}${argument === null ? "" : ` ${argument}`}`;
}

function describe({ help: text, fallback, argument }: Setting): string {
  const isShown =
    argument !== null &&
    !text.includes("default") &&
    (typeof fallback === "number" || typeof fallback === "string");
  return isShown ? `${text} (default ${fallback})` : text;
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => left.padEnd(width) + right);
}
