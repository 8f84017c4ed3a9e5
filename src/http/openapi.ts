import type { TSchema } from "typebox";
import type { VersionInfo } from "./deps.ts";
import { isNativeInFront, isNativePath } from "./error-dialect.ts";
import { NativeErrorBody, NativeModel, V0Model } from "./lmstudio/models.schema.ts";
import { ChatCompletionRequest } from "./openai/chat-completions.schema.ts";
import { CompletionRequest } from "./openai/completions.schema.ts";
import { EmbeddingRequest } from "./openai/embeddings.schema.ts";
import {
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  EmbeddingList,
  ErrorBody,
  ModelList,
  ModelObject,
} from "./openai/response.schema.ts";
import type { Route, RouteDoc } from "./route.ts";

type Json = Record<string, unknown>;

/** Schemas that the document names; the others stand where they are used. */
const NAMED: ReadonlyMap<TSchema, string> = new Map<TSchema, string>([
  [ChatCompletionRequest, "ChatCompletionRequest"],
  [ChatCompletion, "ChatCompletion"],
  [ChatCompletionChunk, "ChatCompletionChunk"],
  [CompletionRequest, "CompletionRequest"],
  [Completion, "Completion"],
  [EmbeddingRequest, "EmbeddingRequest"],
  [EmbeddingList, "EmbeddingList"],
  [ModelObject, "Model"],
  [ModelList, "ModelList"],
  [ErrorBody, "Error"],
  [NativeModel, "NativeModel"],
  [V0Model, "V0Model"],
  [NativeErrorBody, "NativeError"],
]);

const OPENAI_ERROR = {
  schema: reference(ErrorBody),
  example: {
    error: {
      message: "Missing required parameter: 'messages'.",
      type: "invalid_request_error",
      param: "messages",
      code: "missing_required_parameter",
    },
  },
};

const NATIVE_ERROR = {
  schema: reference(NativeErrorBody),
  example: {
    error: {
      type: "invalid_request",
      message: '"model" is required',
      code: "missing_required_parameter",
      param: "model",
    },
  },
};

const KEYLESS_ERROR = {
  ...NATIVE_ERROR,
  example: {
    error: {
      type: "invalid_request",
      message: "Incorrect API key provided.",
      code: "invalid_api_key",
    },
  },
};

/** The OpenAPI 3.1 document of these routes, from the same values that validate requests. */
export function openapiDocument(routes: readonly Route[], version: VersionInfo): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    if (route.doc === null) continue;
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: operation(route, route.doc),
    };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "lmserver",
      version: version.version,
      summary: "Local language models behind the OpenAI API.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: ["OpenAI", "LM Studio", "Extras", "System"].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries([...NAMED].map(([schema, name]) => [name, plain(schema)])),
      securitySchemes: {
        key: { type: "http", scheme: "bearer" },
        header: { type: "apiKey", in: "header", name: "x-api-key" },
      },
    },
  };
}

const ID_PARAMETER = {
  name: "id",
  in: "path",
  required: true,
  description: "May contain slashes, encoded or not.",
  schema: { type: "string" },
  example: "demo",
};

function operation(route: Route, doc: RouteDoc): Json {
  const { response, stream } = doc;
  const parameters = [
    ...(route.path.endsWith("{id}") ? [ID_PARAMETER] : []),
    ...(doc.query ?? []).map((query) => ({
      ...query,
      in: "query",
      schema: plain(query.schema),
      style: "form",
      explode: false,
    })),
  ];
  const name = `${route.method.toLowerCase()}${route.path.replace(/[^A-Za-z0-9]+(.)?/g, (_, next) =>
    String(next ?? "").toUpperCase(),
  )}`;
  return {
    operationId: name,
    summary: doc.summary,
    tags: [doc.tag],
    security: route.permission === "public" ? [] : [{ key: [] }, { header: [] }, {}],
    ...(parameters.length > 0 && { parameters }),
    ...(route.method === "POST" && {
      requestBody: {
        required: true,
        content: {
          "application/json": { schema: reference(route.body), example: route.bodyExample },
        },
      },
    }),
    responses: {
      "200": {
        description: response.description,
        content: {
          [response.type ?? "application/json"]: {
            schema: response.schema === null ? { type: "string" } : reference(response.schema),
            example: response.example,
          },
          ...(stream && {
            "text/event-stream": {
              schema: { type: "string", description: "Frames of `data:` and one JSON object." },
              example: stream.example,
            },
          }),
        },
      },
      ...(route.permission !== "public" &&
        isNativeInFront(route.path) && {
          "401": {
            description: "A key is missing or wrong.",
            content: { "application/json": KEYLESS_ERROR },
          },
        }),
      default: {
        description: "What went wrong.",
        content: { "application/json": isNativePath(route.path) ? NATIVE_ERROR : OPENAI_ERROR },
      },
    },
  };
}

function reference(schema: TSchema): Json {
  const name = NAMED.get(schema);
  return name === undefined ? plain(schema) : { $ref: `#/components/schemas/${name}` };
}

/** The schema without what TypeBox keeps for itself. */
function plain(schema: TSchema): Json {
  return JSON.parse(JSON.stringify(schema)) as Json;
}
