import { resolveFolders } from "../config/paths.ts";
import { JSON_OUTPUT, SERVE_SETTINGS } from "../config/settings.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { processStart } from "./process-start.ts";
import { runningServer, type ServerState } from "./state-lock.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = { stateDir: SERVE_SETTINGS.stateDir, json: JSON_OUTPUT };

/** Longest time a server may take to finish what it does. */
const LIMIT_MS = 30_000;
const POLL_MS = 50;

/** `lmserver stop`: ends this user's server by SIGTERM and waits for it. */
export const stop: Command = {
  settings: FLAGS,
  operands: "",
  async run(args, { print, env }) {
    const { values } = parseVerb(FLAGS, args, env, { operands: 0 });
    const found = resolveFolders({ ...values, modelsDirs: [], cacheDir: null }, env);
    const stateDir = values.stateDir ?? ("folders" in found ? found.folders.stateDir : null);
    if (stateDir === null)
      throw new ExitError(EXIT.usage, "--state-dir must be given, because HOME is not set");
    const server = runningServer(stateDir);
    if (server === null) throw new ExitError(EXIT.failed, "The server is not running.");
    process.kill(server.pid, "SIGTERM");
    if (!(await hasEnded(server, stateDir)))
      throw new ExitError(
        EXIT.failed,
        `The server (PID ${server.pid}) is still finishing its requests after ${LIMIT_MS / 1_000} s.`,
      );
    const { port, pid } = server;
    if (values.json) print(JSON.stringify({ stopped: true, port, pid }));
    else print(port === null ? "Stopped the server." : `Stopped the server on port ${port}.`);
    return EXIT.ok;
  },
};

async function hasEnded(server: ServerState, stateDir: string): Promise<boolean> {
  const deadline = performance.now() + LIMIT_MS;
  while (performance.now() < deadline) {
    const holder = runningServer(stateDir);
    const isGone = server.processStart !== null && processStart(server.pid) !== server.processStart;
    if (isGone || (holder === null && server.processStart === null)) return true;
    await Bun.sleep(POLL_MS);
  }
  return false;
}
