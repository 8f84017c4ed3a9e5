import { explainPresets, GpuShare, ModelPresets, presetsFromFile, readPreset } from "./presets.ts";
import * as numbers from "./number-settings.ts";
import { setting } from "./setting.ts";
import * as words from "./word-settings.ts";

/** Which models are in memory, and how long. */
export const RESIDENCY_SETTINGS = {
  jit: words.flagSetting({
    flag: "jit",
    fallback: true,
    help: "Load a model when it is asked for",
  }),
  ttlSeconds: numbers.integerSetting({
    flag: "ttl",
    fallback: 3_600,
    minimum: 1,
    maximum: 2_000_000,
    help: "Idle seconds before a model loaded by a request is unloaded",
  }),
  autoUnload: words.flagSetting({
    flag: "auto-unload",
    fallback: true,
    help: "Unload models loaded by a request when they were idle for --ttl seconds",
  }),
  autoEvict: words.flagSetting({
    flag: "auto-evict",
    fallback: true,
    help: "Keep one model loaded by a request of each kind: the next one replaces it",
  }),
  memoryLimitBytes: numbers.autoSizeSetting({
    flag: "memory-limit",
    minimum: 2 ** 20,
    help: "Memory that all loaded models together may need (default auto: what is free)",
  }),
  presets: setting({
    flag: "preset",
    fileKey: "presets",
    argument: "<model={json}>",
    isList: true,
    schema: ModelPresets,
    fallback: [],
    accepts: 'a model and its preset, such as qwen*={"parallel": 2}',
    explain: explainPresets,
    read: (texts) => texts.map(readPreset),
    fromFile: presetsFromFile,
    help: "Load options and sampling of the models that match, * stands for any text",
  }),
  preload: words.listSetting({
    flag: "load",
    argument: "<model>",
    envSeparator: ",",
    help: "Load this model at start; may be repeated",
  }),
  loadOptional: words.flagSetting({
    flag: "load-optional",
    fallback: false,
    help: "Start even when a model of --load cannot be loaded",
  }),
} as const;

/** 0 = off, 1 = max, between = a share of the layers. */
function readGpu(text: string): unknown {
  if (/^(auto|off|max)$/.test(text)) return text;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value === 0) return "off";
  return value === 1 ? "max" : value;
}

/** How a model is loaded when nobody says more. */
export const LOAD_SETTINGS = {
  contextLength: numbers.autoIntegerSetting({
    flag: "context-length",
    short: "c",
    minimum: 1,
    maximum: 2 ** 31 - 1,
    help: "Tokens of context, shared by all slots of a model (default auto)",
  }),
  parallel: numbers.integerSetting({
    flag: "parallel",
    fallback: 4,
    minimum: 1,
    maximum: 256,
    help: "Requests a model works on at the same time",
  }),
  gpu: setting({
    flag: "gpu",
    argument: "<auto|off|max|0..1>",
    schema: GpuShare,
    fallback: "auto",
    accepts: "auto, off, max, or a share from 0 to 1",
    read: (texts) => readGpu(texts.at(-1) ?? ""),
    fromFile: (value) => (typeof value === "number" ? readGpu(String(value)) : value),
    help: "Layers computed on the GPU: as many as fit, none, all, or a share of them",
  }),
  threads: numbers.autoIntegerSetting({
    flag: "threads",
    minimum: 1,
    maximum: 1_024,
    help: "Compute threads, at most the processors this process may use (default auto: its physical cores)",
  }),
  speculation: words.choiceSetting({
    flag: "speculation",
    words: ["auto", "off"],
    fallback: "auto",
    help: "Guess tokens that repeat earlier text, where that is faster (default auto)",
  }),
} as const;
