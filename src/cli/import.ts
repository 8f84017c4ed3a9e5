import { Type } from "typebox";
import { importModel, type ImportMode } from "../catalog/import-model.ts";
import * as words from "../config/word-settings.ts";
import { JSON_OUTPUT, SERVE_SETTINGS } from "../config/settings.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { ownModelsDirs } from "./local-catalog.ts";
import { parseVerb } from "./verb-flags.ts";

const toggle = (flag: string, short: string | null, help: string) =>
  words.flagSetting({
    flag,
    ...(short !== null && { short }),
    fallback: false,
    flagOnly: true,
    help,
  });

const FLAGS = {
  userRepo: {
    ...words.textSetting({
      flag: "user-repo",
      argument: "<user/repo>",
      flagOnly: true,
      help: "Where it shall lie (default: your name, and the file's without quantisation)",
    }),
    schema: Type.Union([Type.String({ pattern: "^[^/]+/[^/]+$" }), Type.Null()]),
    accepts: "user/repo: two names with a slash between them",
  },
  copy: toggle("copy", "c", "Copy the file instead of moving it"),
  hardLink: toggle("hard-link", "L", "Give the file a second name on the same disk"),
  symbolicLink: toggle("symbolic-link", "l", "Link to the file, which stays where it is"),
  dryRun: toggle("dry-run", null, "Say what would happen, and do nothing"),
  yes: toggle("yes", "y", "Accepted for scripts written for lms; this program never asks"),
  modelsDirs: SERVE_SETTINGS.modelsDirs,
  json: JSON_OUTPUT,
};

/** `lmserver import <file>`: with all its shards when it is split. */
export const importFile: Command = {
  settings: FLAGS,
  operands: "<file>",
  async run(args, { print, env }) {
    process.umask(0o077);
    const { values, operands } = parseVerb(FLAGS, args, env, { operands: 1 });
    const [file] = operands;
    if (file === undefined) throw new ExitError(EXIT.usage, "Which file shall be imported?");
    const { userRepo, dryRun: isDryRun } = values;
    const [modelsDir] = ownModelsDirs(values.modelsDirs, env);
    const options = { mode: modeOf(values), userRepo, modelsDir, isDryRun };
    const { path, files } = await importModel(file, options);
    if (values.json) print(JSON.stringify({ path, files, dryRun: isDryRun }));
    else for (const { to } of files) print(`${isDryRun ? "Would import" : "Imported"} to ${to}`);
    return EXIT.ok;
  },
};

function modeOf(values: { copy: boolean; hardLink: boolean; symbolicLink: boolean }): ImportMode {
  const modes: ImportMode[] = [];
  if (values.copy) modes.push("copy");
  if (values.hardLink) modes.push("hardlink");
  if (values.symbolicLink) modes.push("symlink");
  if (modes.length > 1)
    throw new ExitError(EXIT.usage, "Use only one of --copy, --hard-link and --symbolic-link.");
  return modes[0] ?? "move";
}
