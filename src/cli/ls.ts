import type { BrokenModel, CatalogModel } from "../catalog/model.ts";
import type { ModelCatalog } from "../catalog/model-catalog.ts";
import { flagSetting } from "../config/setting.ts";
import { JSON_OUTPUT } from "../config/settings.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { CATALOG_FLAGS, openLocalCatalog } from "./local-catalog.ts";
import { modelJson } from "./model-json.ts";
import { countText, groupJson, groupVariants, listing, variantListing } from "./model-listing.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  llm: flagSetting({ flag: "llm", fallback: false, flagOnly: true, help: "Only language models" }),
  embedding: flagSetting({
    flag: "embedding",
    fallback: false,
    flagOnly: true,
    help: "Only embedding models",
  }),
  variants: flagSetting({
    flag: "variants",
    fallback: false,
    flagOnly: true,
    help: "List every quantisation",
  }),
  json: JSON_OUTPUT,
  ...CATALOG_FLAGS,
};

/** `lmserver ls [key]`: reads the folders itself, so it needs no running server. */
export const ls: Command = {
  settings: FLAGS,
  operands: "[model]",
  async run(args, { print, note, env }) {
    const { values, operands } = parseVerb(FLAGS, args, env, { operands: 1 });
    const catalog = openLocalCatalog(values, { env, note });
    const [key] = operands;
    if (key !== undefined && values.variants)
      throw new ExitError(EXIT.failed, "--variants lists every model; give either it or a model.");
    if (key !== undefined) {
      const variants = await variantsOf(catalog, key);
      if (values.json) print(JSON.stringify(variants.map((model) => modelJson(model, []))));
      else for (const line of variantListing(key, variants)) print(line);
      return EXIT.ok;
    }
    const all = groupVariants(await catalog.list());
    const groups = all.filter(
      ({ kind }) =>
        (!values.llm && !values.embedding) || (kind === "llm" ? values.llm : values.embedding),
    );
    if (values.json) {
      print(JSON.stringify(groups.map((group) => groupJson(group, values.variants))));
      return EXIT.ok;
    }
    for (const line of listing(all, groups, values.variants)) print(line);
    for (const line of brokenLines(await catalog.broken())) note(line);
    return EXIT.ok;
  },
};

/** Every quantisation of the model that `name` means. */
async function variantsOf(catalog: ModelCatalog, name: string): Promise<readonly CatalogModel[]> {
  const model = await catalog.find(name);
  if (model === null) throw new ExitError(EXIT.failed, `No model is called "${name}".`);
  const groups = groupVariants(await catalog.list());
  return groups.find(({ variants }) => variants.includes(model))?.variants ?? [model];
}

function brokenLines(broken: readonly BrokenModel[]): string[] {
  if (broken.length === 0) return [];
  const lines = broken.map(({ path, reason }) => `  ${JSON.stringify(path)}: ${reason}`);
  return [`${countText(broken.length)} cannot be used:`, ...lines];
}
