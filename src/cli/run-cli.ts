import { hasCode, LmError } from "../lib/errors.ts";
import { EXIT, ExitError, ReaderGone, type Terminal } from "./command.ts";
import { findVerb, helpText, verbHelp } from "./help.ts";

/** Runs one command line. @returns the exit code. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const { verb: name, rest } = splitVerb(args);
  if (name === "engine") {
    if (rest.includes("--probe")) {
      const { runProbe } = await import("../engine/probe.ts");
      return runProbe(rest, terminal.print);
    }
    const { runEngine } = await import("../engine/main-engine.ts");
    return await runEngine([...rest]);
  }
  try {
    if (name === "help") {
      terminal.print(await helpText(rest));
      return EXIT.ok;
    }
    const verb = findVerb(name);
    if (rest.some((arg) => arg === "--help" || arg === "-h")) {
      terminal.print(await verbHelp(verb));
      return EXIT.ok;
    }
    const command = await verb.load();
    if ("quiet" in command.settings) warnOfShownKey(rest, terminal);
    return await command.run(rest, terminal);
  } catch (error) {
    return report(error, isAsked("json", rest), terminal);
  }
}

/** A key in the words of a process can be read by others; `serve` has its own words about that. */
function warnOfShownKey(args: readonly string[], { note }: Terminal): void {
  const isSilent = isAsked("json", args) || isAsked("quiet", args);
  if (isSilent || !args.some((arg) => arg === "--api-key" || arg.startsWith("--api-key="))) return;
  note(
    "The key given with --api-key is visible to every user of this machine (ps); prefer LM_API_TOKEN.",
  );
}

/** Whether a switch is on in any of its spellings, also among words that make no sense. */
function isAsked(flag: string, args: readonly string[]): boolean {
  const spelling = new RegExp(`^--(no-)?${flag}(?:=(.*))?$`);
  const end = args.indexOf("--");
  const words = end === -1 ? args : args.slice(0, end);
  const found = words.map((word) => spelling.exec(word)).findLast((match) => match !== null);
  if (found === undefined || found === null) return false;
  const [, negation, value = "true"] = found;
  return negation === undefined && /^(true|1|yes|on)$/i.test(value);
}

/** The verb comes first; without one, flags are those of `serve`. */
function splitVerb(args: readonly string[]): { verb: string; rest: readonly string[] } {
  const [first, ...rest] = args;
  if (first === undefined) return { verb: "serve", rest: [] };
  if (first === "--help" || first === "-h") return { verb: "help", rest };
  if (first === "--version" || first === "-v") return { verb: "version", rest };
  return first.startsWith("-") ? { verb: "serve", rest: args } : { verb: first, rest };
}

/** Says what failed: a sentence, or with `--json` the error as one document, both on stderr. */
function report(error: unknown, asJson: boolean, { note }: Terminal): number {
  if (error instanceof ReaderGone) return EXIT.ok;
  if (!(error instanceof ExitError) && !(error instanceof LmError)) throw error;
  const { message, code } = error;
  if (asJson) note(JSON.stringify({ error: { message, code } }));
  else note(`error: ${error.message}`);
  if (error instanceof ExitError) return error.exitCode;
  if (hasCode(error, "invalid_config")) return EXIT.usage;
  return hasCode(error, "engine_unavailable") ? EXIT.engineUnavailable : EXIT.failed;
}
