import type { BrokenModel } from "../catalog/model.ts";
import type { Values } from "../config/config.ts";
import { flagSetting } from "../config/word-settings.ts";
import {
  adapterJson,
  adapterLines,
  fromDisk,
  listServerAdapters,
  type ListedAdapter,
} from "./adapter-listing.ts";
import { EXIT, ExitError, type Command, type Terminal } from "./command.ts";
import { fromCatalog, fromServer, type ListedModel } from "./listed-model.ts";
import { CATALOG_FLAGS, namesOtherFolders, openCatalogHere } from "./local-catalog.ts";
import { modelJson } from "./model-json.ts";
import { countText, groupJson, groupVariants, listing, variantListing } from "./model-listing.ts";
import { CLIENT_FLAGS, findServer } from "./server-client.ts";
import { listServerModels, matchModel } from "./server-models.ts";
import { parseVerb } from "./verb-flags.ts";

const FLAGS = {
  llm: flagSetting({ flag: "llm", fallback: false, flagOnly: true, help: "Only language models" }),
  embedding: flagSetting({
    flag: "embedding",
    fallback: false,
    flagOnly: true,
    help: "Only embedding models",
  }),
  lora: flagSetting({
    flag: "lora",
    fallback: false,
    flagOnly: true,
    help: "Only LoRA adapters",
  }),
  variants: flagSetting({
    flag: "variants",
    fallback: false,
    flagOnly: true,
    help: "List every quantisation",
  }),
  ...CLIENT_FLAGS,
  ...CATALOG_FLAGS,
};

/** `lmserver ls [key]`: what the running server has, or without one what is on this machine. */
export const ls: Command = {
  settings: FLAGS,
  operands: "[model]",
  async run(args, terminal) {
    const { print, note } = terminal;
    const { values, operands } = parseVerb(FLAGS, args, terminal.env, { operands: 1 });
    const [key] = operands;
    if (key !== undefined && values.variants)
      throw new ExitError(EXIT.failed, "--variants lists every model; give either it or a model.");
    if (values.lora) return printAdapters(await findAdapters(values, terminal), values, print);
    const { models, broken, adapters, keyOf } = await findModels(values, terminal);
    if (key !== undefined) {
      const variants = variantsOf(models, (await keyOf(key)) ?? key);
      if (values.json) print(JSON.stringify(variants.map((model) => modelJson(model, []))));
      else for (const line of variantListing(key, variants)) print(line);
      return EXIT.ok;
    }
    const all = groupVariants(models);
    const groups = all.filter(
      ({ kind }) =>
        (!values.llm && !values.embedding) || (kind === "llm" ? values.llm : values.embedding),
    );
    if (values.json) {
      print(JSON.stringify(groups.map((group) => groupJson(group, values.variants))));
      return EXIT.ok;
    }
    for (const line of listing(all, groups, values.variants)) print(line);
    if (!values.llm && !values.embedding) for (const line of adapterLines(adapters)) print(line);
    for (const line of brokenLines(broken)) note(line);
    return EXIT.ok;
  },
};

interface Found {
  models: readonly ListedModel[];
  broken: readonly BrokenModel[];
  /** Those on this machine. */
  adapters: readonly ListedAdapter[];
  /** The key of the model that a file name, path or other name means; null = nobody knows. */
  keyOf: (name: string) => Promise<string | null>;
}

/** A named server answers alone; this user's own one adds what only it knows. */
async function findModels(values: Values<typeof FLAGS>, terminal: Terminal): Promise<Found> {
  const target = findServer(values, terminal);
  if (values.host !== null || values.port !== null) {
    const models = await listServerModels(target);
    const keyOf = () => Promise.resolve(null);
    const listed = models.map((model) => fromServer(model, []));
    return { models: listed, broken: [], adapters: [], keyOf };
  }
  const catalog = openCatalogHere(values, target, terminal);
  const local = await catalog.list();
  const keyOf = async (name: string) => (await catalog.find(name))?.key ?? null;
  const broken = await catalog.broken();
  const adapters = (await catalog.adapters()).map(fromDisk);
  const found = { models: local.map(fromCatalog), broken, adapters, keyOf };
  if (target.own === null || namesOtherFolders(values, target.own)) return found;
  try {
    const models = await listServerModels(target);
    return { ...found, models: models.map((model) => fromServer(model, local)) };
  } catch (error) {
    if (!(error instanceof ExitError)) throw error;
    if (!values.quiet) terminal.note(error.message);
    return found;
  }
}

/** A named server's, or those on this machine. */
async function findAdapters(
  values: Values<typeof FLAGS>,
  terminal: Terminal,
): Promise<readonly ListedAdapter[]> {
  const target = findServer(values, terminal);
  if (values.host !== null || values.port !== null) return listServerAdapters(target);
  return (await openCatalogHere(values, target, terminal).adapters()).map(fromDisk);
}

function printAdapters(
  adapters: readonly ListedAdapter[],
  { json }: { json: boolean },
  print: Terminal["print"],
): number {
  if (json) print(JSON.stringify(adapters.map(adapterJson)));
  else if (adapters.length === 0) print("There are no LoRA adapters.");
  else for (const line of adapterLines(adapters).slice(1)) print(line);
  return EXIT.ok;
}

/** Every quantisation of the model that `name` means. */
function variantsOf(models: readonly ListedModel[], name: string): readonly ListedModel[] {
  const named = models.map((model) => ({ ...model, selected_variant: model.variant }));
  const { key } = matchModel(named, name);
  const groups = groupVariants(models);
  return groups.find(({ variants }) => variants.some((one) => one.key === key))?.variants ?? [];
}

function brokenLines(broken: readonly BrokenModel[]): string[] {
  if (broken.length === 0) return [];
  const lines = broken.map(({ path, reason }) => `  ${JSON.stringify(path)}: ${reason}`);
  return [`${countText(broken.length)} cannot be used:`, ...lines];
}
