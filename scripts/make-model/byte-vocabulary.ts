import type { MetadataValue } from "./gguf-writer.ts";

/** Joined pairs, so that tokens of several bytes exist; each side is a byte or an earlier join. */
const MERGES = ["Ġ t", "h e", "i n", "r e", "o n", "a t", "e n", "Ġt he", "in g", "Ġ a", "e r"];

/** Token types of the file format. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

const CONTROLS = [
  "<|endoftext|>",
  "<|im_start|>",
  "<|im_end|>",
  "<|fim_prefix|>",
  "<|fim_suffix|>",
  "<|fim_middle|>",
];
const MARKERS = ["<think>", "</think>", "<tool_call>", "</tool_call>"];

/**
 * A vocabulary that can spell any text: the 256 bytes in GPT-2's printable form, a few joins, the
 * control tokens of ChatML and of fill-in-the-middle, and markers as plain text tokens.
 * @param leastTokens where there are fewer, as many that no text has come after them.
 */
export function byteVocabulary(leastTokens = 0): {
  entries: ReadonlyMap<string, MetadataValue>;
  tokenCount: number;
} {
  const bytes = Array.from({ length: 256 }, (_, byte) => printable(byte));
  const joins = MERGES.map((pair) => pair.replace(" ", ""));
  const used = [...bytes, ...joins, ...CONTROLS, ...MARKERS];
  const usedTypes = used.map((token) => {
    if (CONTROLS.includes(token)) return CONTROL;
    return MARKERS.includes(token) ? USER_DEFINED : NORMAL;
  });
  const missing = Math.max(0, leastTokens - used.length);
  const tokens = [...used, ...Array.from({ length: missing }, (_, index) => `<unused${index}>`)];
  const types = [...usedTypes, ...Array<number>(missing).fill(UNUSED)];
  const id = (token: string): MetadataValue => ({ type: "u32", value: tokens.indexOf(token) });
  const entries = new Map<string, MetadataValue>([
    ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
    ["tokenizer.ggml.pre", { type: "string", value: "gpt-2" }],
    ["tokenizer.ggml.tokens", { type: "strings", value: tokens }],
    ["tokenizer.ggml.token_type", { type: "i32s", value: types }],
    ["tokenizer.ggml.merges", { type: "strings", value: MERGES }],
    ["tokenizer.ggml.bos_token_id", id("<|endoftext|>")],
    ["tokenizer.ggml.eos_token_id", id("<|im_end|>")],
    ["tokenizer.ggml.padding_token_id", id("<|endoftext|>")],
    ["tokenizer.ggml.fim_pre_token_id", id("<|fim_prefix|>")],
    ["tokenizer.ggml.fim_suf_token_id", id("<|fim_suffix|>")],
    ["tokenizer.ggml.fim_mid_token_id", id("<|fim_middle|>")],
    ["tokenizer.ggml.add_bos_token", { type: "bool", value: false }],
  ]);
  return { entries, tokenCount: tokens.length };
}

/** GPT-2's stand-in for a byte: itself when printable, else the next free code point from 256. */
function printable(byte: number): string {
  const shown = (value: number) =>
    (value >= 33 && value <= 126) || (value >= 161 && value <= 172) || value >= 174;
  if (shown(byte)) return String.fromCodePoint(byte);
  const hiddenBefore = Array.from({ length: byte }, (_, value) => value).filter(
    (value) => !shown(value),
  ).length;
  return String.fromCodePoint(256 + hiddenBefore);
}
