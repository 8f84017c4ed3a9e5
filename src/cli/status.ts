import { Type } from "typebox";
import { flagSetting } from "../config/word-settings.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { CLIENT_FLAGS, findServer, type Target } from "./server-client.ts";
import { askServer } from "./server-request.ts";
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

const Greeting = Type.Object({ lmstudio: Type.Literal(true) });
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
    const target = findServer(values, { env, note });
    const isRunning = await greets(target);
    if (!isRunning) {
      if (values.json) print(JSON.stringify({ running: false, port: target.port }));
      else print("The server is not running.");
      return values.check ? EXIT.failed : EXIT.ok;
    }
    const facts = await askFacts(target).catch((error: unknown) => {
      // The server runs, which was the question; what it has loaded may need a key.
      if (!(error instanceof ExitError)) throw error;
      const { message, code } = error;
      if (!values.quiet) note(values.json ? JSON.stringify({ error: { message, code } }) : message);
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

/** @throws ExitError of a server that took the connection and says nothing: nobody knows what it is. */
async function greets(target: Target): Promise<boolean> {
  try {
    await askServer(target, { path: "/lmstudio-greeting", schema: Greeting });
    return true;
  } catch (error) {
    if (error instanceof ExitError && error.code !== "no_answer") return false;
    throw error;
  }
}

async function askFacts(target: Target): Promise<{ version: string; loaded: string[] }> {
  const { version } = await askServer(target, { path: "/version", schema: Version });
  const { data } = await askServer(target, { path: "/v1/models", schema: Models });
  const loaded = data.filter((model) => model.state === "loaded").map((model) => model.id);
  return { version, loaded };
}
