import { resolveModel } from "../../chat/resolve-model.ts";
import { invalidRequest } from "../../lib/errors.ts";
import type { EmbedInput } from "../../protocol/commands.ts";
import { GenerationScope, type Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import { outOfRange } from "../refusals.ts";
import { holdOpen } from "../request-context.ts";
import type { PostRoute } from "../route.ts";
import { validator } from "../validate.ts";
import { EmbeddingRequest } from "./embeddings.schema.ts";
import { EMBEDDING_EXAMPLE, EMBEDDING_REQUEST_EXAMPLE } from "./examples.ts";
import { EmbeddingList } from "./response.schema.ts";

const parse = validator(EmbeddingRequest);

/** POST /v1/embeddings. Source: OpenAI API reference, "Create embeddings". */
export function embeddings(server: Server): PostRoute {
  const { deps } = server;
  return {
    method: "POST",
    path: "/v1/embeddings",
    permission: "inference",
    body: EmbeddingRequest,
    bodyExample: EMBEDDING_REQUEST_EXAMPLE,
    doc: {
      summary: "Turn texts into vectors",
      tag: "OpenAI",
      response: {
        description: "One unit vector per input, in their order.",
        schema: EmbeddingList,
        example: EMBEDDING_EXAMPLE,
      },
    },
    async answer(context, body) {
      const request = parse(body);
      const scope = new GenerationScope(server, context, toWire);
      holdOpen(context);
      const { signal } = scope.abort;
      try {
        const model = await resolveModel(deps, request.model ?? null, "embedding", deps.settings);
        context.facts.model = model.key;
        const ttlMs = request.ttl ? request.ttl * 1000 : null;
        const lease = await deps.pool.acquire(model, signal, {
          name: request.model ?? null,
          ttlMs,
        });
        try {
          context.facts.model = lease.identifier;
          const { info } = lease;
          const inputs = toInputs(request.input, info.vocabularySize);
          const dimensions = toDimensions(request.dimensions ?? null, info.embeddingSize);
          const result = await lease.embed(inputs, signal);
          context.facts.promptTokens = result.tokens;
          server.metrics.promptTokens.add(result.tokens, { model: model.key });
          const encode = request.encoding_format === "base64" ? toBase64 : toNumbers;
          return jsonResponse({
            object: "list",
            model: lease.identifier,
            data: result.vectors.map((vector, index) => ({
              object: "embedding",
              index,
              embedding: encode(shorten(vector, dimensions)),
            })),
            usage: { prompt_tokens: result.tokens, total_tokens: result.tokens },
          } satisfies EmbeddingList);
        } finally {
          lease.release();
        }
      } catch (error) {
        throw scope.failure(error);
      } finally {
        scope.close();
      }
    },
  };
}

/** A prompt that does not fit is an input here. */
const toWire = (param: string): string => (param === "prompt" ? "input" : param);

/** A list of numbers is one input. */
function toInputs(input: EmbeddingRequest["input"], vocabularySize: number): EmbedInput[] {
  if (typeof input === "string") return [input.toWellFormed()];
  const tokens: number[] = [];
  const inputs: EmbedInput[] = [];
  for (const [index, item] of input.entries()) {
    if (typeof item === "number") tokens.push(item);
    else if (typeof item === "string") inputs.push(item.toWellFormed());
    else inputs.push(checkTokens(item, vocabularySize, `input[${index}]`));
  }
  return tokens.length > 0 ? [checkTokens(tokens, vocabularySize, "input")] : inputs;
}

function checkTokens(tokens: number[], vocabularySize: number, path: string): number[] {
  if (tokens.every((token) => token < vocabularySize)) return tokens;
  throw invalidRequest(
    path,
    "invalid_value",
    `Invalid value for '${path}': token ids of this model go from 0 to ${vocabularySize - 1}. Send text, since ` +
      "other tokenizers' ids mean something else here (LangChain: check_embedding_ctx_length=False).",
  );
}

function toDimensions(wanted: number | null, size: number): number {
  if (wanted !== null && wanted > size) {
    throw outOfRange("dimensions", "integer", "above_max", `<= ${size}`, wanted);
  }
  return wanted ?? size;
}

/** The first components as a unit vector. */
function shorten(vector: Float32Array, dimensions: number): Float32Array {
  if (dimensions >= vector.length) return vector;
  const head = vector.slice(0, dimensions);
  const norm = Math.hypot(...head);
  return norm > 0 ? head.map((value) => value / norm) : head;
}

const toNumbers = (vector: Float32Array): number[] => [...vector];

/** Little-endian, as every platform that Bun runs on. */
const toBase64 = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
