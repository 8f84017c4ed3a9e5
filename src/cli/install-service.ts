import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { buildInfo } from "../bundle/bundle.ts";
import { invalidConfig } from "../config/config.ts";
import { resolveFolders } from "../config/paths.ts";
import * as words from "../config/word-settings.ts";
import { JSON_OUTPUT } from "../config/settings.ts";
import { EXIT, ExitError, type Command, type Terminal } from "./command.ts";
import { planServe, readServe } from "./serve-config.ts";
import type { ServiceFacts } from "./service-files.ts";
import { commandText, launchdService, systemdService, type Service } from "./service-managers.ts";
import {
  absoluteFlags,
  relativePaths,
  serviceEnvironment,
  withheldVariables,
} from "./service-settings.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  dryRun: words.flagSetting({
    flag: "dry-run",
    fallback: false,
    flagOnly: true,
    help: "Print the file and the commands, and change nothing",
  }),
  manager: words.choiceSetting({
    flag: "manager",
    words: ["systemd", "launchd"],
    fallback: process.platform === "darwin" ? "launchd" : "systemd",
    flagOnly: true,
    help: "Which service manager (default: that of this system)",
  }),
  json: JSON_OUTPUT,
};

/** `lmserver install-service [-- <flags of serve>]`: starts the server with this user's session. */
export const installService: Command = {
  settings: FLAGS,
  operands: "[-- <flags of serve>]",
  async run(args, terminal) {
    const { print, note, env } = terminal;
    const end = args.includes("--") ? args.indexOf("--") : args.length;
    const { values } = parseVerb(FLAGS, args.slice(0, end), env, { operands: 0 });
    const facts = serviceFacts(args.slice(end + 1), terminal, values.dryRun);
    const service =
      values.manager === "systemd" ? systemdService(facts, env) : launchdService(facts);
    const commands = service.commands.map(commandText);
    const removal = service.removal.map(commandText);
    for (const name of withheldVariables(env))
      note(
        `${name} holds a secret and is not written into the service's file: set it with ${service.variableCommand}`,
      );
    if (!values.dryRun) install(service, facts.writable, note);
    if (values.json) {
      const { path, text } = service;
      print(JSON.stringify({ path, text, commands, removal, dryRun: values.dryRun }));
    } else if (values.dryRun) {
      print(`Would write ${service.path}:\n\n${service.text}`);
      print(`Would run:\n${commands.map((line) => `  ${line}`).join("\n")}`);
    } else {
      print(`Installed ${service.path}`);
      note(`To remove it: ${removal.join(" && ")}`);
    }
    return EXIT.ok;
  },
};

/** @throws LmError invalid_config when the server could not start with these flags. */
function serviceFacts(
  given: readonly string[],
  { env, note }: Pick<Terminal, "env" | "note">,
  isDryRun: boolean,
): ServiceFacts {
  const home = env["HOME"] ?? "";
  if (home === "") throw new ExitError(EXIT.usage, "HOME must be set to install a service");
  if (!buildInfo().isStandalone && !isDryRun)
    throw new ExitError(EXIT.failed, "Only the built executable can be installed as a service.");
  const args = absoluteFlags(given);
  const environment = serviceEnvironment(args, env);
  const settings = { HOME: home, ...environment };
  // A dry run creates no folder; a real one looks at everything that a start looks at.
  if (!isDryRun) for (const warning of planServe(args, settings).warnings) note(warning);
  const { values, problems } = readServe(args, settings);
  const all = problems.length > 0 ? problems : relativePaths(values);
  if (all.length > 0) throw invalidConfig(all);
  const found = resolveFolders(values, settings);
  if (!("folders" in found)) throw new ExitError(EXIT.usage, found.problems.join("\n"));
  const { stateDir, cacheDir, modelsDirs } = found.folders;
  const [models] = modelsDirs;
  const writable = [stateDir, cacheDir, ...(models === undefined ? [] : [models])];
  return { executable: realpathSync(process.execPath), args, environment, writable, home };
}

/** More than a server takes to end. */
const END_MS = 30_000;
const RETRY_MS = 500;

/** Writes the file and runs the commands. @throws ExitError naming the command that fails. */
function install(
  { path, text, commands }: Service,
  writable: readonly string[],
  note: (line: string) => void,
): void {
  // The unit may only write to folders that exist when it starts.
  for (const folder of writable) mkdirSync(folder, { recursive: true, mode: 0o700 });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o600 });
  note(`Wrote ${path}`);
  let hasUndone = false;
  for (const [index, command] of commands.entries()) {
    const { words: typed, mayFail = false, followsEnd = false } = command;
    const [program = "", ...rest] = typed;
    const found = Bun.which(program);
    const run = () => (found === null ? null : Bun.spawnSync([found, ...rest]));
    let result = run();
    const untilMs = performance.now() + (followsEnd && hasUndone ? END_MS : 0);
    while (result !== null && result.exitCode !== 0 && performance.now() < untilMs) {
      Bun.sleepSync(RETRY_MS);
      result = run();
    }
    hasUndone ||= mayFail && result?.exitCode === 0;
    if (result?.exitCode === 0 || mayFail) continue;
    const said = result === null ? `${program} is not there` : result.stderr.toString().trim();
    const left = commands.slice(index).map(commandText);
    throw new ExitError(EXIT.failed, `${said}. Run this once it works: ${left.join(" && ")}`);
  }
  if (path.endsWith(".service")) note("Without a login it runs only after: loginctl enable-linger");
}
