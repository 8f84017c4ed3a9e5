import { noExtras } from "../answer-extras.ts";
import type { Deps } from "../deps.ts";
import { GenerationScope, type Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import { holdOpen, type RequestContext } from "../request-context.ts";
import type { PostRoute } from "../route.ts";
import { streamAnswer } from "../stream-answer.ts";
import { validator } from "../validate.ts";
import { type DecodedChat, toChatRequest } from "./chat-completions.decode.ts";
import { chatCompletion, type ChatEncoding } from "./chat-completions.encode.ts";
import { ChatCompletionRequest } from "./chat-completions.schema.ts";
import { chatChunks } from "./chat-completions.stream.ts";
import { CHAT_EXAMPLE, CHAT_REQUEST_EXAMPLE, CHAT_STREAM_EXAMPLE } from "./examples.ts";
import { foreignConstraints } from "./foreign-constraints.ts";
import {
  ChatCompletion,
  ChatCompletionChunk,
  RenderedPrompt,
  TokenCount,
} from "./response.schema.ts";
import { newStamp } from "./stamp.ts";

const parse = validator(ChatCompletionRequest);

/** POST /v1/chat/completions. Source: OpenAI API reference, "Create chat completion". */
export function chatCompletions(server: Server, beginExtras = noExtras): PostRoute {
  const { deps } = server;
  return {
    method: "POST",
    path: "/v1/chat/completions",
    permission: "inference",
    body: ChatCompletionRequest,
    bodyExample: CHAT_REQUEST_EXAMPLE,
    doc: {
      summary: "Answer a conversation",
      tag: "OpenAI",
      response: { description: "The answer.", schema: ChatCompletion, example: CHAT_EXAMPLE },
      stream: { schema: ChatCompletionChunk, example: CHAT_STREAM_EXAMPLE },
    },
    async answer(context, body) {
      const decoded = decode(deps, body);
      context.warnings.push(...foreignConstraints(body, "response_format"));
      const encoding: ChatEncoding = {
        stamp: newStamp(deps, "chatcmpl-"),
        choices: decoded.request.choices,
        reasoningField: deps.settings.reasoningField,
        legacyFunctions: decoded.legacyFunctions,
      };
      const scope = new GenerationScope(server, context, decoded.toWire);
      const extras = beginExtras(server);
      const events = extras.tap(scope.run(decoded.request), decoded.request);
      if (decoded.stream) {
        const frames = chatChunks(events, encoding, decoded.includeUsage, extras.endOf);
        return streamAnswer(server, context, scope, frames);
      }
      holdOpen(context);
      try {
        const wantsLogprobs = decoded.request.logprobs !== null;
        const answer = await chatCompletion(events, encoding, wantsLogprobs);
        return jsonResponse(extras.body(answer));
      } finally {
        scope.close();
      }
    },
  };
}

/** POST /v1/chat/completions/input_tokens: counts what the same request would read. */
export function chatInputTokens(server: Server): PostRoute {
  return {
    method: "POST",
    path: "/v1/chat/completions/input_tokens",
    permission: "inference",
    body: ChatCompletionRequest,
    bodyExample: CHAT_REQUEST_EXAMPLE,
    doc: {
      summary: "Count the tokens of a conversation",
      tag: "Extras",
      response: {
        description: "The number of prompt tokens.",
        schema: TokenCount,
        example: { object: "response.input_tokens", input_tokens: 13 },
      },
    },
    async answer(context, body) {
      const { promptTokens } = await render(server, context, body);
      return jsonResponse({ object: "response.input_tokens", input_tokens: promptTokens });
    },
  };
}

/** POST /v1/chat/completions/render: the prompt as the model would read it. */
export function chatRender(server: Server): PostRoute {
  return {
    method: "POST",
    path: "/v1/chat/completions/render",
    permission: "inference",
    body: ChatCompletionRequest,
    bodyExample: CHAT_REQUEST_EXAMPLE,
    doc: {
      summary: "Render a conversation with the model's chat template",
      tag: "Extras",
      response: {
        description: "The prompt and its length.",
        schema: RenderedPrompt,
        example: {
          object: "chat.completion.render",
          model: "demo",
          prompt: "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
          prompt_tokens: 10,
        },
      },
    },
    async answer(context, body) {
      const { model, prompt, promptTokens } = await render(server, context, body);
      return jsonResponse({
        object: "chat.completion.render",
        model,
        prompt,
        prompt_tokens: promptTokens,
      });
    },
  };
}

async function render(server: Server, context: RequestContext, body: unknown) {
  const { request, toWire } = decode(server.deps, body);
  const scope = new GenerationScope(server, context, toWire);
  holdOpen(context);
  try {
    const rendered = await server.deps.renderChat(request, scope.abort.signal);
    context.facts.model = rendered.model;
    context.facts.promptTokens = rendered.promptTokens;
    return rendered;
  } catch (error) {
    throw scope.failure(error);
  } finally {
    scope.close();
  }
}

const decode = ({ settings }: Deps, body: unknown): DecodedChat =>
  toChatRequest(parse(body), settings.maxChoices);
