import { findAdapter } from "../catalog/adapters.ts";
import type { Catalog } from "../catalog/model.ts";
import { planRemoval, removeModel, type Removable } from "../catalog/remove-model.ts";
import { flagSetting } from "../config/word-settings.ts";
import { JSON_OUTPUT } from "../config/settings.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { openLinePrompt } from "./line-prompt.ts";
import { CATALOG_FLAGS, openLocalCatalog, ownModelsDirs } from "./local-catalog.ts";
import { sizeText } from "./model-json.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  yes: flagSetting({
    flag: "yes",
    short: "y",
    fallback: false,
    flagOnly: true,
    help: "Do not ask",
  }),
  ...CATALOG_FLAGS,
  json: JSON_OUTPUT,
};

/** `lmserver rm <model>`: only models and adapters of our own folders, by their exact name. */
export const rm: Command = {
  settings: FLAGS,
  operands: "<model>",
  async run(args, terminal) {
    const { print, note, isTty, env } = terminal;
    const { values, operands } = parseVerb(FLAGS, args, env, { operands: 1 });
    const [name] = operands;
    if (name === undefined) throw new ExitError(EXIT.usage, "Which model? See: lmserver ls");
    const modelsDirs = ownModelsDirs(values.modelsDirs, env);
    const model = await findRemovable(openLocalCatalog(values, terminal), name);
    if (model === null)
      throw new ExitError(EXIT.failed, `No model is called ${JSON.stringify(name.slice(0, 200))}.`);
    const { files, freedBytes } = await planRemoval(model, modelsDirs);
    if (!values.yes) {
      if (!isTty.stdin || !isTty.stdout)
        throw new ExitError(EXIT.usage, "Nobody can be asked here: --yes deletes without asking.");
      for (const file of files) note(`  ${file}`);
      if (!(await confirm(`Delete these files (${sizeText(freedBytes)})? [y/N] `)))
        throw new ExitError(EXIT.failed, "Nothing was deleted.", { code: "cancelled" });
    }
    const removed = await removeModel(model, modelsDirs);
    if (values.json) print(JSON.stringify({ removed: model.key, ...removed }));
    else print(`Model "${model.key}" deleted, ${sizeText(removed.freedBytes)} freed.`);
    return EXIT.ok;
  },
};

async function findRemovable(catalog: Catalog, name: string): Promise<Removable | null> {
  const model = await catalog.find(name);
  const adapter = model === null ? findAdapter(await catalog.adapters(), name) : null;
  return adapter === null ? model : { ...adapter, files: [adapter.path] };
}

async function confirm(question: string): Promise<boolean> {
  using prompt = openLinePrompt(() => process.exit(EXIT.failed), question);
  return /^y(es)?$/i.test((await prompt.ask())?.trim() ?? "");
}
