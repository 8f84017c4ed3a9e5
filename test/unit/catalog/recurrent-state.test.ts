import { expect, test } from "bun:test";
import { recurrentState } from "../../../src/catalog/recurrent-state.ts";

type Entries = Readonly<Record<string, number | readonly number[]>>;

function stateOf(architecture: string, entries: Entries) {
  const number = (key: string): number | null => {
    const value = entries[key];
    return typeof value === "number" ? value : null;
  };
  const numbers = (key: string): readonly number[] => [entries[key] ?? []].flat();
  return recurrentState({ architecture, number, numbers });
}

const ssm = {
  "ssm.conv_kernel": 4,
  "ssm.inner_size": 64,
  "ssm.state_size": 16,
  "ssm.group_count": 2,
};
const ssmFloats = 3 * (64 + 2 * 2 * 16) + 16 * 64;
const base = { block_count: 4, embedding_length: 32, "attention.head_count": 8 };
const heads = { "attention.head_count_kv": 2 };
const kda = { "ssm.conv_kernel": 4, "kda.head_dim": 4 };

/** By the numbers of llama.cpp, n_embd_r and n_embd_s, and by the layers that it filters. */
const cases: [
  string,
  string,
  Entries,
  { headCountKv: number[]; layers: number; floats: number },
][] = [
  [
    "mamba has one in each layer, whose convolution knows no groups",
    "mamba",
    { ...base, ...ssm, "ssm.group_count": 0 },
    { headCountKv: [0, 0, 0, 0], layers: 4, floats: 3 * 64 + 16 * 64 },
  ],
  [
    "rwkv shifts two tokens where the header does not say",
    "rwkv7",
    { ...base, "wkv.head_size": 8 },
    { headCountKv: [0, 0, 0, 0], layers: 4, floats: 32 * (2 + 8) },
  ],
  [
    "falcon-h1 has both in each layer",
    "falcon-h1",
    { ...base, ...heads, ...ssm },
    { headCountKv: [2, 2, 2, 2], layers: 4, floats: ssmFloats },
  ],
  [
    "jamba has it in layers without heads",
    "jamba",
    { ...base, ...ssm, "attention.head_count_kv": [0, 2, 0, 0] },
    { headCountKv: [0, 2, 0, 0], layers: 3, floats: ssmFloats },
  ],
  [
    "nemotron has layers of a third kind",
    "nemotron_h",
    {
      ...base,
      ...ssm,
      "attention.head_count_kv": [0, 0, 2, 0],
      feed_forward_length: [0, 128, 0, 128],
    },
    { headCountKv: [0, 0, 2, 0], layers: 1, floats: ssmFloats },
  ],
  [
    "lfm2 has the end of a convolution",
    "lfm2",
    { ...base, "attention.head_count_kv": [0, 0, 2, 0], "shortconv.l_cache": 3 },
    { headCountKv: [0, 0, 2, 0], layers: 3, floats: 2 * 32 },
  ],
  [
    "kimi-linear has one matrix for each head",
    "kimi-linear",
    { ...base, ...kda, "attention.head_count_kv": [0, 0, 0, 8] },
    { headCountKv: [0, 0, 0, 8], layers: 3, floats: 3 * 3 * 32 + 4 * 4 * 8 },
  ],
  [
    "qwen3next has it in three layers of four",
    "qwen3next",
    { ...base, ...heads, ...ssm },
    { headCountKv: [0, 0, 0, 2], layers: 3, floats: ssmFloats },
  ],
  [
    "qwen35 by its own interval, and not in the layers that guess ahead",
    "qwen35",
    { ...base, ...heads, ...ssm, full_attention_interval: 2, nextn_predict_layers: 1 },
    { headCountKv: [0, 2, 0, 2], layers: 2, floats: ssmFloats },
  ],
  [
    "qwen35moe in the layers that are named",
    "qwen35moe",
    { ...base, ...heads, ...ssm, "attention.recurrent_layers": [1, 0, 0, 1] },
    { headCountKv: [0, 2, 2, 0], layers: 2, floats: ssmFloats },
  ],
  [
    "minimax-01 has one matrix for each head, in seven layers of eight",
    "minimax-01",
    { ...base, ...heads, block_count: 8, "attention.key_length": 5 },
    { headCountKv: [0, 0, 0, 0, 0, 0, 0, 2], layers: 7, floats: 5 * 5 * 8 },
  ],
];

test.each(cases)("the recurrent state: %s", (_name, architecture, entries, expected) => {
  expect(stateOf(architecture, entries)).toEqual(expected);
});

test("a model of keys and values alone has no recurrent state", () => {
  expect(stateOf("llama", { ...base, ...heads })).toBeNull();
});

test("a header that lies about its layers makes no long lists", () => {
  const state = stateOf("mamba", { ...base, ...ssm, block_count: 1e12 });
  expect(state?.headCountKv.length).toBe(512);
  expect(stateOf("mamba", { ...base, ...ssm, block_count: -1 })?.layers).toBe(0);
});
