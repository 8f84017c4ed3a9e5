import { buildInfo } from "../bundle/bundle.ts";
import { JSON_OUTPUT } from "../config/settings.ts";
import { EXIT, type Command } from "./command.ts";
import { parseVerb } from "./verb-flags.ts";

/** `lmserver version [--json]`. */
export const version: Command = {
  settings: { json: JSON_OUTPUT },
  operands: "",
  async run(args, { print, env }) {
    const { values } = parseVerb({ json: JSON_OUTPUT }, args, env, { operands: 0 });
    const build = buildInfo();
    const engine = `llama.cpp ${build.llamaRelease}`;
    const backends = ["cpu", ...build.gpuBackends];
    if (values.json) {
      const { version: own, commit, buildId } = build;
      const libraries = Object.fromEntries(build.libraries);
      print(JSON.stringify({ version: own, commit, engine, backends, buildId, libraries }));
    } else {
      print(
        `lmserver ${build.version} (${build.commit}), engine ${engine}, ${backends.join(", ")}`,
      );
    }
    return EXIT.ok;
  },
};
