import { Type } from "typebox";
import { flagSetting } from "../config/word-settings.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { listInstances } from "./ps.ts";
import { CLIENT_FLAGS, findServer, type Target } from "./server-client.ts";
import { askServer } from "./server-request.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  all: flagSetting({
    flag: "all",
    short: "a",
    fallback: false,
    flagOnly: true,
    help: "Unload every model",
  }),
  ...CLIENT_FLAGS,
};

const Unloaded = Type.Object({ instance_id: Type.String() });

/** `lmserver unload [identifier] [--all]`: without either, the only loaded model. */
export const unload: Command = {
  settings: FLAGS,
  operands: "[identifier]",
  async run(args, { print, note, env }) {
    const { values, operands } = parseVerb(FLAGS, args, env, { operands: 1 });
    const [named] = operands;
    if (named !== undefined && values.all)
      throw new ExitError(EXIT.usage, "Give either an identifier or --all.");
    const target = findServer(values, { env, note });
    const loaded = (await listInstances(target)).instances.map(({ identifier }) => identifier);
    const chosen = values.all ? loaded : [choose(loaded, named)];
    for (const identifier of chosen) await unloadOne(target, identifier);
    const [first] = chosen;
    if (values.json) print(JSON.stringify({ unloaded: chosen }));
    else if (first === undefined) print("No models to unload.");
    else if (values.all)
      print(`Unloaded ${chosen.length === 1 ? "1 model" : `${chosen.length} models`}.`);
    else print(`Model "${first}" unloaded.`);
    return EXIT.ok;
  },
};

function choose(loaded: readonly string[], named: string | undefined): string {
  const [first, ...others] = loaded;
  if (first === undefined) throw new ExitError(EXIT.failed, "No models are loaded.");
  const list = loaded.map((identifier) => `  ${identifier}`).join("\n");
  if (named === undefined) {
    if (others.length === 0) return first;
    throw new ExitError(EXIT.usage, `Several models are loaded; name one, or use --all:\n${list}`);
  }
  if (loaded.includes(named)) return named;
  const shown = JSON.stringify(named.slice(0, 200));
  throw new ExitError(EXIT.failed, `No loaded model is called ${shown}. Loaded:\n${list}`, {
    code: "model_not_found",
  });
}

/** The answer comes when the model has left, which running requests may delay. */
async function unloadOne(target: Target, identifier: string): Promise<void> {
  const body = { instance_id: identifier };
  const call = { path: "/api/v1/models/unload", schema: Unloaded, body, timeoutMs: null };
  await askServer(target, call);
}
