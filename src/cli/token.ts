import { resolveFolders } from "../config/paths.ts";
import * as words from "../config/word-settings.ts";
import { JSON_OUTPUT, SERVE_SETTINGS } from "../config/settings.ts";
import { TOKEN_PERMISSIONS, TokenFile, type TokenInfo } from "../config/tokens.ts";
import { systemClock } from "../lib/clock.ts";
import { EXIT, ExitError, type Command, type Terminal } from "./command.ts";
import { textTable } from "./text-table.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  name: words.textSetting({
    flag: "name",
    argument: "<text>",
    flagOnly: true,
    help: "What the new token is for",
  }),
  permissions: words.listSetting({
    flag: "permission",
    argument: "<word>",
    flagOnly: true,
    wordSeparator: ",",
    pattern: `^(${TOKEN_PERMISSIONS.join("|")})$`,
    accepts: `one of ${TOKEN_PERMISSIONS.join(", ")}`,
    help: `What the new token may do, may be repeated: ${TOKEN_PERMISSIONS.join(", ")} (default inference)`,
  }),
  stateDir: SERVE_SETTINGS.stateDir,
  json: JSON_OUTPUT,
};

const USAGE = "Use: lmserver token create --name <text>, lmserver token ls, lmserver token rm <id>";

/** `lmserver token create|ls|rm`: changes the file that a running server reads too. */
export const token: Command = {
  settings: FLAGS,
  operands: "create | ls | rm <id>",
  async run(args, terminal) {
    process.umask(0o077);
    const { values, operands } = parseVerb(FLAGS, args, terminal.env, { operands: 2 });
    const [action, id] = operands;
    const file = new TokenFile(findStateFolder(values.stateDir, terminal.env));
    if (action === "create" && id === undefined) return create(file, values, terminal);
    if (action === "ls" && id === undefined) return list(file.list(), values.json, terminal);
    if (action === "rm" && id !== undefined) return remove(file, id, values.json, terminal);
    throw new ExitError(EXIT.usage, USAGE);
  },
};

function create(
  file: TokenFile,
  values: { name: string | null; permissions: readonly string[]; json: boolean },
  { print, note }: Terminal,
): number {
  const { name } = values;
  if (name === null) throw new ExitError(EXIT.usage, "--name must say what the token is for");
  const wanted = values.permissions.length === 0 ? ["inference"] : values.permissions;
  const permissions = TOKEN_PERMISSIONS.filter((permission) => wanted.includes(permission));
  const made = file.create({ name, permissions, nowMs: systemClock.now() });
  if (values.json) {
    print(JSON.stringify({ ...tokenJson(made.token), token: made.text }));
    return EXIT.ok;
  }
  print(made.text);
  note("Keep it: it cannot be shown again. Servers of this state folder accept it from now on;");
  note("those started with --require-auth demand it or a key.");
  return EXIT.ok;
}

function list(tokens: readonly TokenInfo[], asJson: boolean, { print }: Terminal): number {
  if (asJson) print(JSON.stringify(tokens.map(tokenJson)));
  else if (tokens.length === 0) print("There are no tokens.");
  else {
    const rows = tokens.map(({ id, name, permissions, createdMs }) => [
      id,
      name,
      new Date(createdMs).toISOString().slice(0, 10),
      permissions.join(", "),
    ]);
    for (const line of textTable([["ID", "NAME", "CREATED", "PERMISSIONS"], ...rows])) print(line);
  }
  return EXIT.ok;
}

function remove(file: TokenFile, id: string, asJson: boolean, { print }: Terminal): number {
  if (!file.remove(id))
    throw new ExitError(EXIT.failed, `No token has the id ${JSON.stringify(id.slice(0, 80))}.`);
  print(asJson ? JSON.stringify({ removed: id }) : `Token ${id} removed.`);
  return EXIT.ok;
}

function tokenJson({ id, name, permissions, createdMs }: TokenInfo): Record<string, unknown> {
  return { id, name, permissions, createdAt: new Date(createdMs).toISOString() };
}

/** @throws ExitError usage when there is none to find. */
function findStateFolder(named: string | null, env: Terminal["env"]): string {
  const found = resolveFolders({ stateDir: named, modelsDirs: ["."], cacheDir: "." }, env);
  if ("folders" in found) return found.folders.stateDir;
  throw new ExitError(EXIT.usage, found.problems.join("\n"));
}
