import type { FFIFunction } from "bun:ffi";

/**
 * Functions called by name. Those that take or return a struct by value are only declared so that
 * their address can be handed to the shim: they must never be called from here.
 */
const BY_VALUE = { args: [], returns: "void" } as const satisfies FFIFunction;

/** @see llama.h */
export const LLAMA_SYMBOLS = {
  llama_model_default_params: BY_VALUE,
  llama_context_default_params: BY_VALUE,
  llama_model_load_from_file: BY_VALUE,
  llama_init_from_model: BY_VALUE,
  llama_decode: BY_VALUE,
  llama_encode: BY_VALUE,
  llama_sampler_chain_init: BY_VALUE,
  llama_version: { args: [], returns: "cstring" },
  llama_print_system_info: { args: [], returns: "cstring" },
  llama_backend_init: { args: [], returns: "void" },
  llama_log_set: { args: ["ptr", "ptr"], returns: "void" },

  llama_model_free: { args: ["ptr"], returns: "void" },
  llama_model_get_vocab: { args: ["ptr"], returns: "ptr" },
  llama_model_n_ctx_train: { args: ["ptr"], returns: "i32" },
  llama_model_n_embd_out: { args: ["ptr"], returns: "i32" },
  llama_model_n_embd: { args: ["ptr"], returns: "i32" },
  llama_model_n_layer: { args: ["ptr"], returns: "i32" },
  llama_model_n_head: { args: ["ptr"], returns: "i32" },
  llama_model_n_head_kv: { args: ["ptr"], returns: "i32" },
  llama_model_n_swa: { args: ["ptr"], returns: "i32" },
  llama_model_size: { args: ["ptr"], returns: "u64" },
  llama_model_has_encoder: { args: ["ptr"], returns: "bool" },
  llama_model_has_decoder: { args: ["ptr"], returns: "bool" },
  llama_model_is_recurrent: { args: ["ptr"], returns: "bool" },
  llama_model_is_hybrid: { args: ["ptr"], returns: "bool" },
  llama_model_meta_count: { args: ["ptr"], returns: "i32" },
  llama_model_meta_key_by_index: { args: ["ptr", "i32", "ptr", "usize"], returns: "i32" },
  llama_model_meta_val_str_by_index: { args: ["ptr", "i32", "ptr", "usize"], returns: "i32" },

  llama_adapter_lora_init: { args: ["ptr", "ptr"], returns: "ptr" },
  llama_adapter_get_alora_n_invocation_tokens: { args: ["ptr"], returns: "u64" },
  llama_set_adapters_lora: { args: ["ptr", "ptr", "usize", "ptr"], returns: "i32" },

  llama_free: { args: ["ptr"], returns: "void" },
  llama_set_n_threads: { args: ["ptr", "i32", "i32"], returns: "void" },
  llama_n_ctx: { args: ["ptr"], returns: "u32" },
  llama_n_batch: { args: ["ptr"], returns: "u32" },
  llama_pooling_type: { args: ["ptr"], returns: "i32" },
  llama_get_memory: { args: ["ptr"], returns: "ptr" },
  llama_attach_threadpool: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  llama_get_logits_ith: { args: ["ptr", "i32"], returns: "ptr" },
  llama_get_embeddings_seq: { args: ["ptr", "i32"], returns: "ptr" },
  llama_memory_clear: { args: ["ptr", "bool"], returns: "void" },
  llama_memory_seq_rm: { args: ["ptr", "i32", "i32", "i32"], returns: "bool" },
  llama_memory_seq_cp: { args: ["ptr", "i32", "i32", "i32", "i32"], returns: "void" },
  llama_memory_seq_pos_min: { args: ["ptr", "i32"], returns: "i32" },
  llama_memory_seq_pos_max: { args: ["ptr", "i32"], returns: "i32" },
  llama_state_seq_get_size: { args: ["ptr", "i32"], returns: "u64" },
  llama_state_seq_get_data: { args: ["ptr", "ptr", "usize", "i32"], returns: "u64" },
  llama_state_seq_set_data: { args: ["ptr", "ptr", "usize", "i32"], returns: "u64" },

  llama_vocab_n_tokens: { args: ["ptr"], returns: "i32" },
  llama_vocab_bos: { args: ["ptr"], returns: "i32" },
  llama_vocab_eos: { args: ["ptr"], returns: "i32" },
  llama_vocab_get_add_bos: { args: ["ptr"], returns: "bool" },
  llama_vocab_fim_pre: { args: ["ptr"], returns: "i32" },
  llama_vocab_fim_suf: { args: ["ptr"], returns: "i32" },
  llama_vocab_fim_mid: { args: ["ptr"], returns: "i32" },
  llama_vocab_is_eog: { args: ["ptr", "i32"], returns: "bool" },
  llama_vocab_is_control: { args: ["ptr", "i32"], returns: "bool" },
  llama_tokenize: {
    args: ["ptr", "ptr", "i32", "ptr", "i32", "bool", "bool"],
    returns: "i32",
  },
  llama_token_to_piece: { args: ["ptr", "i32", "ptr", "i32", "i32", "bool"], returns: "i32" },

  llama_sampler_chain_add: { args: ["ptr", "ptr"], returns: "void" },
  llama_sampler_apply: { args: ["ptr", "ptr"], returns: "void" },
  llama_sampler_accept: { args: ["ptr", "i32"], returns: "void" },
  llama_sampler_clone: { args: ["ptr"], returns: "ptr" },
  llama_sampler_free: { args: ["ptr"], returns: "void" },
  llama_sampler_init_dist: { args: ["u32"], returns: "ptr" },
  llama_sampler_init_top_k: { args: ["i32"], returns: "ptr" },
  llama_sampler_init_top_p: { args: ["f32", "usize"], returns: "ptr" },
  llama_sampler_init_min_p: { args: ["f32", "usize"], returns: "ptr" },
  llama_sampler_init_typical: { args: ["f32", "usize"], returns: "ptr" },
  llama_sampler_init_temp: { args: ["f32"], returns: "ptr" },
  llama_sampler_init_temp_ext: { args: ["f32", "f32", "f32"], returns: "ptr" },
  llama_sampler_init_xtc: { args: ["f32", "f32", "usize", "u32"], returns: "ptr" },
  llama_sampler_init_top_n_sigma: { args: ["f32"], returns: "ptr" },
  llama_sampler_init_mirostat: { args: ["i32", "u32", "f32", "f32", "i32"], returns: "ptr" },
  llama_sampler_init_mirostat_v2: { args: ["u32", "f32", "f32"], returns: "ptr" },
  llama_sampler_init_penalties: { args: ["i32", "i32", "f32", "f32", "f32"], returns: "ptr" },
  llama_sampler_init_dry: {
    args: ["ptr", "f32", "f32", "i32", "i32", "ptr", "usize"],
    returns: "ptr",
  },
  llama_sampler_init_adaptive_p: { args: ["f32", "f32", "u32"], returns: "ptr" },
  llama_sampler_init_grammar: { args: ["ptr", "ptr", "ptr"], returns: "ptr" },
} as const satisfies Record<string, FFIFunction>;

/** @see ggml-backend.h */
export const GGML_SYMBOLS = {
  ggml_backend_load_all_from_path: { args: ["ptr"], returns: "void" },
  ggml_backend_dev_count: { args: [], returns: "usize" },
  ggml_backend_dev_get: { args: ["usize"], returns: "ptr" },
} as const satisfies Record<string, FFIFunction>;

/** @see ggml-backend.h, ggml.h */
export const GGML_BASE_SYMBOLS = {
  ggml_backend_dev_name: { args: ["ptr"], returns: "cstring" },
  ggml_backend_dev_description: { args: ["ptr"], returns: "cstring" },
  ggml_backend_dev_memory: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  ggml_backend_dev_type: { args: ["ptr"], returns: "i32" },
  ggml_backend_dev_backend_reg: { args: ["ptr"], returns: "ptr" },
  ggml_backend_reg_get_proc_address: { args: ["ptr", "ptr"], returns: "ptr" },
  ggml_threadpool_params_init: { args: ["ptr", "i32"], returns: "void" },
} as const satisfies Record<string, FFIFunction>;
