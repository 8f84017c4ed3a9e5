import { Type } from "typebox";
import { Value } from "typebox/value";
import { flagSetting } from "../config/setting.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { CLIENT_FLAGS, findServer, getJson, type Target } from "./server-client.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  ...CLIENT_FLAGS,
  check: flagSetting({
    flag: "check",
    fallback: false,
    flagOnly: true,
    help: "Exit with 1 when no server runs",
  }),
};

const Version = Type.Object({ version: Type.String() });
const Models = Type.Object({
  data: Type.Array(Type.Object({ id: Type.String(), state: Type.Optional(Type.String()) })),
});

/** `lmserver status [--json] [--check]`. */
export const status: Command = {
  settings: FLAGS,
  operands: "",
  async run(args, { print, note, env }) {
    const { values } = parseVerb(FLAGS, args, env, { operands: 0 });
    const target = findServer(values, env);
    const isRunning = await greets(target);
    if (!isRunning) {
      if (values.json) print(JSON.stringify({ running: false, port: target.port }));
      else print("The server is not running.");
      return values.check ? EXIT.failed : EXIT.ok;
    }
    const facts = await askFacts(target).catch((error: unknown) => {
      // The server runs, which was the question; what it has loaded may need a key.
      if (!(error instanceof ExitError)) throw error;
      note(error.message);
      return null;
    });
    const { port, own } = target;
    if (values.json) {
      const pid = own?.pid ?? null;
      const loaded = facts?.loaded ?? null;
      print(JSON.stringify({ running: true, port, version: facts?.version ?? null, pid, loaded }));
      return EXIT.ok;
    }
    print(`The server is running on port ${port}.`);
    if (facts !== null) {
      print(facts.loaded.length === 0 ? "No models are loaded." : "Loaded models:");
      for (const id of facts.loaded) print(`  ${id}`);
    }
    return EXIT.ok;
  },
};

async function greets(target: Target): Promise<boolean> {
  try {
    const greeting = await getJson(target, "/lmstudio-greeting");
    return Value.Check(Type.Object({ lmstudio: Type.Literal(true) }), greeting);
  } catch (error) {
    if (error instanceof ExitError) return false;
    throw error;
  }
}

async function askFacts(target: Target): Promise<{ version: string | null; loaded: string[] }> {
  const version = await getJson(target, "/version");
  const models = await getJson(target, "/v1/models");
  const data = Value.Check(Models, models) ? models.data : [];
  return {
    version: Value.Check(Version, version) ? version.version : null,
    loaded: data.filter((model) => model.state === "loaded").map((model) => model.id),
  };
}
