/**
 * Byte layouts of llama.cpp's parameter structs, pinned to release 0.5.0 on 64-bit machines.
 * Every platform we build for (LP64 and LLP64) agrees on them: no field is a `long`.
 * `abi-check.ts` compares them with the loaded library before anything else is called.
 * @see llama.h
 */

type Kind = "i32" | "u32" | "f32" | "u8" | "pointer";

/** Where a field lies, what it is, and the value `*_default_params()` gives it (null: not checked). */
export interface Field {
  readonly offset: number;
  readonly kind: Kind;
  readonly initial: number | null;
}

const field = (offset: number, kind: Kind, initial: number | null): Field => ({
  offset,
  kind,
  initial,
});

export const MODEL_PARAMS_SIZE = 80;

/** `struct llama_model_params`. */
export const MODEL_PARAMS = {
  devices: field(0, "pointer", 0),
  tensor_buft_overrides: field(8, "pointer", 0),
  n_gpu_layers: field(16, "i32", -1),
  split_mode: field(20, "i32", 1),
  load_mode: field(24, "i32", -1),
  lazy_mode: field(28, "i32", 1),
  main_gpu: field(32, "i32", 0),
  tensor_split: field(40, "pointer", 0),
  progress_callback: field(48, "pointer", 0),
  progress_callback_user_data: field(56, "pointer", 0),
  kv_overrides: field(64, "pointer", 0),
  vocab_only: field(72, "u8", 0),
  check_tensors: field(73, "u8", 0),
  use_extra_bufts: field(74, "u8", 1),
  no_host: field(75, "u8", 0),
  no_alloc: field(76, "u8", 0),
  load_mtp: field(77, "u8", 0),
} as const;

/** `struct llama_model_kv_override` (264 bytes) with an integer, whose tag is 0. A list ends with an empty key. */
export const KV_OVERRIDE = {
  key: 4,
  value: field(136, "i32", null),
} as const;

export const CONTEXT_PARAMS_SIZE = 160;

/** `struct llama_context_params`. */
export const CONTEXT_PARAMS = {
  n_ctx: field(0, "u32", 512),
  n_batch: field(4, "u32", 2048),
  n_ubatch: field(8, "u32", 512),
  n_seq_max: field(12, "u32", 1),
  n_rs_seq: field(16, "u32", 0),
  n_outputs_max: field(20, "u32", 0),
  n_outputs_max_per_seq: field(24, "u32", 1),
  n_threads: field(28, "i32", 4),
  n_threads_batch: field(32, "i32", 4),
  ctx_type: field(36, "i32", 0),
  rope_scaling_type: field(40, "i32", -1),
  pooling_type: field(44, "i32", -1),
  attention_type: field(48, "i32", -1),
  flash_attn_type: field(52, "i32", -1),
  rope_freq_base: field(56, "f32", 0),
  rope_freq_scale: field(60, "f32", 0),
  yarn_ext_factor: field(64, "f32", -1),
  yarn_attn_factor: field(68, "f32", -1),
  yarn_beta_fast: field(72, "f32", -1),
  yarn_beta_slow: field(76, "f32", -1),
  yarn_orig_ctx: field(80, "u32", 0),
  defrag_thold: field(84, "f32", -1),
  cb_eval: field(88, "pointer", 0),
  cb_eval_user_data: field(96, "pointer", 0),
  type_k: field(104, "i32", 1),
  type_v: field(108, "i32", 1),
  abort_callback: field(112, "pointer", 0),
  abort_callback_data: field(120, "pointer", 0),
  embeddings: field(128, "u8", 0),
  offload_kqv: field(129, "u8", 1),
  no_perf: field(130, "u8", 1),
  op_offload: field(131, "u8", 1),
  swa_full: field(132, "u8", 1),
  kv_unified: field(133, "u8", 0),
  samplers: field(136, "pointer", 0),
  n_samplers: field(144, "pointer", 0),
  ctx_other: field(152, "pointer", 0),
} as const;

export const BATCH_SIZE = 56;

/** `struct llama_batch`. Made by us, so it has no defaults to check. */
export const BATCH = {
  n_tokens: field(0, "i32", null),
  token: field(8, "pointer", null),
  embd: field(16, "pointer", null),
  pos: field(24, "pointer", null),
  n_seq_id: field(32, "pointer", null),
  seq_id: field(40, "pointer", null),
  logits: field(48, "pointer", null),
} as const;

/** `struct llama_token_data`: id (i32), logit (f32), p (f32). In 4-byte words. */
export const TOKEN_DATA_WORDS = 3;

export const TOKEN_DATA_ARRAY_SIZE = 32;

/** `struct llama_token_data_array`. `selected` is 64-bit; its low half serves, -1 included. */
export const TOKEN_DATA_ARRAY = {
  data: field(0, "pointer", null),
  size: field(8, "pointer", null),
  selected: field(16, "i32", null),
  selected_high: field(20, "i32", null),
  sorted: field(24, "u8", null),
} as const;

/** `enum ggml_type`, the kinds a KV cache can hold. */
export const GGML_TYPE = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q5_0: 6,
  q5_1: 7,
  q8_0: 8,
  bf16: 30,
} as const;

/** `enum llama_flash_attn_type`. */
export const FLASH_ATTENTION = { auto: -1, off: 0, on: 1 } as const;

/** `enum llama_pooling_type`. */
export const POOLING = { unspecified: -1, none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const;

/** `enum llama_load_mode`. */
export const LOAD_MODE = { none: 0, mmap: 1 } as const;

/** `LLAMA_DEFAULT_SEED`: the sampler picks a random seed. */
export const RANDOM_SEED = 0xffff_ffff;

export function readField(view: DataView, at: Field): number {
  switch (at.kind) {
    case "i32":
      return view.getInt32(at.offset, true);
    case "u32":
      return view.getUint32(at.offset, true);
    case "f32":
      return view.getFloat32(at.offset, true);
    case "u8":
      return view.getUint8(at.offset);
    default:
      return Number(view.getBigUint64(at.offset, true));
  }
}

export function writeField(view: DataView, at: Field, value: number | bigint): void {
  switch (at.kind) {
    case "i32":
      view.setInt32(at.offset, Number(value), true);
      break;
    case "u32":
      view.setUint32(at.offset, Number(value), true);
      break;
    case "f32":
      view.setFloat32(at.offset, Number(value), true);
      break;
    case "u8":
      view.setUint8(at.offset, Number(value));
      break;
    default:
      view.setBigUint64(at.offset, BigInt(value), true);
  }
}
