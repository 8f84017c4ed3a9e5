/** Bodies shown in the OpenAPI document. They work as they are with the built-in model. */

const stamp = {
  id: "chatcmpl-9n2Zp4bE7QmK1xTtVw3yLc8RfJ",
  created: 1_731_990_317,
  model: "demo",
  system_fingerprint: "lmserver-0.1.0-llamacpp-v0.5.0",
};

const usage = {
  prompt_tokens: 13,
  completion_tokens: 14,
  total_tokens: 27,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: 0,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
};

export const CHAT_REQUEST_EXAMPLE = {
  model: "demo",
  messages: [{ role: "user", content: "Say hello." }],
  max_tokens: 64,
};

export const CHAT_EXAMPLE = {
  ...stamp,
  object: "chat.completion",
  service_tier: "default",
  choices: [
    {
      index: 0,
      message: {
        role: "assistant",
        content: "Hello! How can I help you?",
        refusal: null,
        annotations: [],
      },
      logprobs: null,
      finish_reason: "stop",
    },
  ],
  usage,
  stats: {},
};

const chunk = (choice: Record<string, unknown>): string =>
  `data: ${JSON.stringify({ ...stamp, object: "chat.completion.chunk", choices: [choice] })}\n\n`;

export const CHAT_STREAM_EXAMPLE =
  chunk({
    index: 0,
    delta: { role: "assistant", content: "" },
    logprobs: null,
    finish_reason: null,
  }) +
  chunk({ index: 0, delta: { content: "Hello!" }, logprobs: null, finish_reason: null }) +
  chunk({ index: 0, delta: {}, logprobs: null, finish_reason: "stop" }) +
  "data: [DONE]\n\n";

export const COMPLETION_REQUEST_EXAMPLE = {
  model: "demo",
  prompt: "The quick brown fox",
  max_tokens: 16,
};

export const COMPLETION_EXAMPLE = {
  ...stamp,
  id: "cmpl-9n2Zp4bE7QmK1xTtVw3yLc8RfJ",
  object: "text_completion",
  choices: [
    { index: 0, text: " jumps over the lazy dog", logprobs: null, finish_reason: "length" },
  ],
  usage,
};

export const COMPLETION_STREAM_EXAMPLE = `data: ${JSON.stringify({ ...COMPLETION_EXAMPLE, usage: undefined })}\n\ndata: [DONE]\n\n`;

export const EMBEDDING_REQUEST_EXAMPLE = {
  model: "text-embedding-nomic-embed-text-v1.5",
  input: "The quick brown fox",
};

export const EMBEDDING_EXAMPLE = {
  object: "list",
  model: "text-embedding-nomic-embed-text-v1.5",
  data: [{ object: "embedding", index: 0, embedding: [-0.0167, 0.0288, -0.1407] }],
  usage: { prompt_tokens: 4, total_tokens: 4 },
};

export const MODEL_EXAMPLE = {
  id: "demo",
  object: "model",
  created: 1_731_990_317,
  owned_by: "organization_owner",
  type: "model",
  display_name: "Demo",
  created_at: "2024-11-19T04:25:17.000Z",
  max_context_length: 2048,
  context_length: 2048,
  state: "not-loaded",
};

export const MODEL_LIST_EXAMPLE = {
  object: "list",
  data: [MODEL_EXAMPLE],
  has_more: false,
  first_id: "demo",
  last_id: "demo",
};
