/** Bodies shown in the OpenAPI document. They work as they are with the built-in model. */

export const NATIVE_MODELS_EXAMPLE = {
  models: [
    {
      type: "llm",
      publisher: "lmserver",
      key: "demo",
      display_name: "lmserver demo",
      architecture: "qwen3",
      quantization: { name: "Q8_0", bits_per_weight: 8 },
      size_bytes: 1_452_800,
      params_string: "1.3M",
      loaded_instances: [
        {
          id: "demo",
          config: {
            context_length: 2048,
            eval_batch_size: 512,
            parallel: 4,
            flash_attention: true,
            offload_kv_cache_to_gpu: false,
          },
        },
      ],
      max_context_length: 2048,
      format: "gguf",
      capabilities: { vision: false, trained_for_tool_use: true },
      description: null,
    },
  ],
};

export const V0_MODEL_EXAMPLE = {
  id: "demo",
  object: "model",
  type: "llm",
  publisher: "lmserver",
  arch: "qwen3",
  compatibility_type: "gguf",
  quantization: "Q8_0",
  state: "not-loaded",
  max_context_length: 2048,
  capabilities: ["tool_use"],
};

export const LOAD_REQUEST_EXAMPLE = { model: "demo", echo_load_config: true };

export const LOAD_EXAMPLE = {
  type: "llm",
  instance_id: "demo",
  load_time_seconds: 0.121,
  status: "loaded",
  load_config: { context_length: 2048, eval_batch_size: 512, flash_attention: true },
};

export const NATIVE_CHAT_REQUEST_EXAMPLE = { model: "demo", input: "Say hello." };

export const NATIVE_CHAT_EXAMPLE = {
  model_instance_id: "demo",
  output: [{ type: "message", content: "Hello! How can I help you?" }],
  stats: {
    input_tokens: 13,
    total_output_tokens: 14,
    reasoning_output_tokens: 0,
    tokens_per_second: 410.5,
    time_to_first_token_seconds: 0.012,
    model_load_time_seconds: 0.121,
  },
  response_id: "resp_4ef013eba0def1ed23f19dde72b67974c579113f544086de",
};

const frame = (event: { type: string; [key: string]: unknown }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

export const NATIVE_CHAT_STREAM_EXAMPLE =
  frame({ type: "chat.start", model_instance_id: "demo" }) +
  frame({ type: "prompt_processing.start" }) +
  frame({ type: "prompt_processing.end" }) +
  frame({ type: "message.start" }) +
  frame({ type: "message.delta", content: "Hello!" }) +
  frame({ type: "message.end" }) +
  frame({ type: "chat.end", result: NATIVE_CHAT_EXAMPLE });

export const V0_EXTRAS_EXAMPLE = {
  stats: {
    tokens_per_second: 410.5,
    time_to_first_token: 0.012,
    generation_time: 0.022,
    stop_reason: "eosFound",
  },
  model_info: { arch: "qwen3", quant: "Q8_0", format: "gguf", context_length: 2048 },
  runtime: { name: "llama.cpp-linux-x86_64-cpu", version: "0.5.0", supported_formats: ["gguf"] },
};

export const DOWNLOAD_REQUEST_EXAMPLE = {
  model: "lmstudio-community/Qwen3-0.6B-GGUF",
  quantization: "Q4_K_M",
};

const job = {
  job_id: "job_493c7c9ded",
  status: "downloading",
  total_size_bytes: 396_705_472,
  started_at: "2025-10-03T15:33:23.496Z",
};

export const DOWNLOAD_EXAMPLE = job;

export const DOWNLOAD_STATUS_EXAMPLE = {
  ...job,
  bytes_per_second: 41_231_234.5,
  estimated_completion: "2025-10-03T15:33:30.102Z",
  downloaded_bytes: 179_145_003,
};
