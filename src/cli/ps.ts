import { Type } from "typebox";
import { Value } from "typebox/value";
import { EXIT, ExitError, type Command } from "./command.ts";
import { CLIENT_FLAGS, findServer, getJson } from "./server-client.ts";
import { textTable } from "./text-table.ts";
import { parseVerb } from "./verb-flags.ts";

const Models = Type.Object({
  data: Type.Array(
    Type.Object({
      id: Type.String(),
      display_name: Type.Optional(Type.String()),
      max_context_length: Type.Integer(),
      context_length: Type.Integer(),
      state: Type.Optional(Type.String()),
    }),
  ),
});

/** `lmserver ps [--json]`: what the server has in memory. */
export const ps: Command = {
  settings: CLIENT_FLAGS,
  operands: "",
  async run(args, { print, env }) {
    const { values } = parseVerb(CLIENT_FLAGS, args, env, { operands: 0 });
    const answer = await getJson(findServer(values, env), "/v1/models");
    if (!Value.Check(Models, answer))
      throw new ExitError(EXIT.failed, "The server answered something that is no list of models.");
    const loaded = answer.data
      .filter((model) => model.state === "loaded" || model.state === "loading")
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    if (values.json) {
      print(
        JSON.stringify(
          loaded.map((model) => ({
            identifier: model.id,
            modelKey: model.id,
            displayName: model.display_name ?? model.id,
            maxContextLength: model.max_context_length,
            contextLength: model.context_length,
            status: model.state === "loaded" ? "idle" : "loading",
          })),
        ),
      );
    } else if (loaded.length === 0) {
      print("No models are currently loaded.");
      print("A model is loaded by the first request that names it, or at start with --load.");
    } else {
      const rows = loaded.map((model) => [
        model.id,
        (model.state ?? "").toUpperCase(),
        String(model.context_length),
      ]);
      for (const line of textTable([["IDENTIFIER", "STATUS", "CONTEXT"], ...rows])) print(line);
    }
    return EXIT.ok;
  },
};
