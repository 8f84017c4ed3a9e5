import { Type } from "typebox";
import { defined } from "../../lib/assert.ts";
import type { Server } from "../generation.ts";
import { chatCompletions } from "../openai/chat-completions.ts";
import { completions } from "../openai/completions.ts";
import { embeddings } from "../openai/embeddings.ts";
import { CHAT_EXAMPLE, COMPLETION_EXAMPLE } from "../openai/examples.ts";
import { ChatCompletion, Completion } from "../openai/response.schema.ts";
import type { PostRoute, RouteDoc } from "../route.ts";
import { V0_EXTRAS_EXAMPLE } from "./examples.ts";
import { V0Extras, v0Extras } from "./v0-extras.ts";

/** The OpenAI routes below /api/v0, whose answers say more about how they came to be. */
export function v0Inference(server: Server): PostRoute[] {
  const chat = chatCompletions(server, v0Extras);
  const text = completions(server, v0Extras);
  return [
    below("/api/v0", chat, {
      description: "The answer, with statistics.",
      schema: Type.Object({ ...ChatCompletion.properties, ...V0Extras.properties }),
      example: { ...CHAT_EXAMPLE, ...V0_EXTRAS_EXAMPLE },
    }),
    below("/api/v0", text, {
      description: "The continuation, with statistics.",
      schema: Type.Object({ ...Completion.properties, ...V0Extras.properties }),
      example: { ...COMPLETION_EXAMPLE, ...V0_EXTRAS_EXAMPLE },
    }),
    below("/api/v0", embeddings(server), null),
  ];
}

function below(prefix: string, route: PostRoute, response: RouteDoc["response"] | null): PostRoute {
  const doc = defined(route.doc, "the routes of the OpenAI API are documented");
  return {
    ...route,
    path: route.path.replace(/^\/v1/, prefix),
    doc: {
      ...doc,
      summary: `${doc.summary} (older form)`,
      tag: "LM Studio",
      response: response ?? doc.response,
    },
  };
}
