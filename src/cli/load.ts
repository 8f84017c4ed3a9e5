import { Type, type Static } from "typebox";
import * as numbers from "../config/number-settings.ts";
import { setting } from "../config/setting.ts";
import * as words from "../config/word-settings.ts";
import { SERVE_SETTINGS } from "../config/settings.ts";
import { EXIT, ExitError, type Command } from "./command.ts";
import { printEstimate } from "./estimate.ts";
import { watchInterrupt } from "./interrupt.ts";
import { CATALOG_FLAGS, openCatalogHere } from "./local-catalog.ts";
import { watchLoad } from "./load-progress.ts";
import { gibText } from "./model-json.ts";
import { TUNING_FLAGS, tuningBody } from "./load-tuning.ts";
import { openProgress } from "./progress.ts";
import { CLIENT_FLAGS, findServer } from "./server-client.ts";
import { listServerModels, matchModel } from "./server-models.ts";
import { askServer } from "./server-request.ts";
import { parseVerb } from "./verb-flags.ts";

const flagOnly = { env: [], fileKey: null };

const Lora = Type.Object({
  id: Type.String({ minLength: 1 }),
  scale: Type.Number({ minimum: -100, maximum: 100 }),
});

/** `adapter:0.5`; 1 when no scale is given. */
function readLora(text: string): Static<typeof Lora> {
  const [, id = text, scale = "1"] = /^(.+):([^:]*)$/.exec(text) ?? [];
  return { id, scale: scale.trim() === "" ? Number.NaN : Number(scale) };
}

const FLAGS = {
  gpu: { ...SERVE_SETTINGS.gpu, ...flagOnly },
  contextLength: { ...SERVE_SETTINGS.contextLength, ...flagOnly },
  parallel: numbers.autoIntegerSetting({
    flag: "parallel",
    minimum: 1,
    maximum: 256,
    flagOnly: true,
    help: "Requests the model works on at the same time (default: the server's)",
  }),
  ttl: numbers.autoIntegerSetting({
    flag: "ttl",
    minimum: 1,
    maximum: 2_000_000,
    flagOnly: true,
    help: "Idle seconds before the model is unloaded (default: it stays)",
  }),
  identifier: words.textSetting({
    flag: "identifier",
    argument: "<name>",
    flagOnly: true,
    help: "Name of the instance for clients (default: the model's key)",
  }),
  lora: setting({
    flag: "lora",
    argument: "<adapter[:scale]>",
    flagOnly: true,
    isList: true,
    schema: Type.Array(Lora),
    fallback: [],
    accepts: "an adapter, or adapter:scale with a scale from -100 to 100",
    read: (texts) => texts.map(readLora),
    help: "A LoRA adapter to load with it; may be repeated (see: lmserver ls --lora)",
  }),
  draftSimple: words.flagSetting({
    flag: "speculative-draft-simple",
    fallback: false,
    flagOnly: true,
    help: "Let a smaller model draft for it; needs --speculative-draft-model",
  }),
  draftModel: words.textSetting({
    flag: "speculative-draft-model",
    argument: "<model>",
    flagOnly: true,
    help: "The installed model that drafts, with the same vocabulary",
  }),
  draftMaxTokens: numbers.autoIntegerSetting({
    flag: "speculative-draft-max-tokens",
    minimum: 1,
    maximum: 1_024,
    flagOnly: true,
    help: "Tokens drafted at once (default 16)",
  }),
  draftMinTokens: numbers.autoIntegerSetting({
    flag: "speculative-draft-min-tokens",
    minimum: 0,
    maximum: 1_024,
    flagOnly: true,
    help: "Shorter drafts are dropped (default 0)",
  }),
  draftMinProbability: words.textSetting({
    flag: "speculative-draft-min-continue-probability",
    argument: "<0..1>",
    flagOnly: true,
    help: "A token less likely than this is not drafted (default 0)",
  }),
  ...TUNING_FLAGS,
  estimateOnly: words.flagSetting({
    flag: "estimate-only",
    fallback: false,
    flagOnly: true,
    help: "Say how much memory it would take here, and load nothing",
  }),
  yes: words.flagSetting({
    flag: "yes",
    short: "y",
    fallback: false,
    flagOnly: true,
    help: "Accepted for scripts written for lms; this program never asks",
  }),
  ...CLIENT_FLAGS,
  ...CATALOG_FLAGS,
};

const Loaded = Type.Object({ instance_id: Type.String(), load_time_seconds: Type.Number() });

/** `lmserver load <model>`. */
export const load: Command = {
  settings: FLAGS,
  operands: "<model>",
  async run(args, terminal) {
    const { print, note } = terminal;
    const { values, operands } = parseVerb(FLAGS, args, terminal.env, { operands: 1 });
    const [name] = operands;
    if (name === undefined) throw new ExitError(EXIT.usage, "Which model? See: lmserver ls");
    const target = findServer(values, terminal);
    if (values.estimateOnly) {
      const parallel = values.parallel ?? SERVE_SETTINGS.parallel.fallback;
      draftOptions(values);
      const catalog = openCatalogHere(values, target, terminal);
      return printEstimate({ ...values, name, parallel }, catalog, terminal);
    }
    const model = matchModel(await listServerModels(target), name);
    const options = {
      ...(values.contextLength !== null && { context_length: values.contextLength }),
      ...(values.gpu !== "auto" && { gpu: values.gpu }),
      ...(values.parallel !== null && { parallel: values.parallel }),
      ...(values.ttl !== null && { ttl: values.ttl }),
      ...(values.identifier !== null && { identifier: values.identifier }),
      ...draftOptions(values),
      ...(values.lora.length > 0 && { lora: values.lora }),
      ...tuningBody(values),
    };
    const isQuiet = values.quiet || values.json;
    if (!isQuiet) note(`Loading ${model.key} ...`);
    using interrupt = watchInterrupt("The load was cancelled.");
    using progress = openProgress("Loading", terminal, isQuiet);
    // Not into the middle of the bar.
    const warnings: string[] = [];
    const asked = { ...target, warn: (text: string) => void warnings.push(text) };
    const loading = askServer(asked, {
      path: "/api/v1/models/load",
      schema: Loaded,
      body: { model: model.key, ...options },
      timeoutMs: null,
      signal: interrupt.signal,
    });
    const show = (share: number): void => progress.update(share);
    const loaded = await (isQuiet ? loading : watchLoad(target, model.key, loading, show));
    progress[Symbol.dispose]();
    for (const text of warnings) target.warn(text);
    const { instance_id: identifier, load_time_seconds: seconds } = loaded;
    if (values.json) {
      const { key } = model;
      print(JSON.stringify({ identifier, modelKey: key, loadTimeSeconds: seconds }));
      return EXIT.ok;
    }
    if (!values.quiet) {
      note(`Model loaded successfully in ${seconds.toFixed(2)}s. (${gibText(model.size_bytes)})`);
      note("To use the model in the API, use the identifier:");
    }
    print(identifier);
    return EXIT.ok;
  },
};

interface DraftFlags {
  draftSimple: boolean;
  draftModel: string | null;
  draftMaxTokens: number | null;
  draftMinTokens: number | null;
  draftMinProbability: string | null;
}

/** What the flags of speculation mean to the server. @throws ExitError when they contradict. */
function draftOptions(flags: DraftFlags): Record<string, unknown> {
  const { draftSimple, draftModel, draftMaxTokens, draftMinTokens, draftMinProbability } = flags;
  const limits = [draftMaxTokens, draftMinTokens, draftMinProbability];
  const refuse = (message: string): never => {
    throw new ExitError(EXIT.usage, message);
  };
  if (draftSimple !== (draftModel !== null))
    refuse("--speculative-draft-simple and --speculative-draft-model go together.");
  if (draftModel === null) {
    return limits.every((limit) => limit === null)
      ? {}
      : refuse("Limits of drafts need --speculative-draft-simple and --speculative-draft-model.");
  }
  if (draftMinTokens !== null && draftMaxTokens !== null && draftMinTokens > draftMaxTokens)
    refuse("--speculative-draft-min-tokens must not exceed --speculative-draft-max-tokens.");
  const probability = draftMinProbability === null ? null : Number(draftMinProbability);
  if (probability !== null && !(probability >= 0 && probability <= 1))
    refuse("--speculative-draft-min-continue-probability is a number from 0 to 1.");
  return {
    draft_model: draftModel,
    ...(draftMaxTokens !== null && { draft_max_tokens: draftMaxTokens }),
    ...(draftMinTokens !== null && { draft_min_tokens: draftMinTokens }),
    ...(probability !== null && { draft_min_probability: probability }),
  };
}
