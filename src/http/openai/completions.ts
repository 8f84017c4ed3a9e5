import { noExtras } from "../answer-extras.ts";
import { GenerationScope, type Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import { mergeGenerations } from "../merge-generations.ts";
import { holdOpen } from "../request-context.ts";
import type { PostRoute } from "../route.ts";
import { streamAnswer } from "../stream-answer.ts";
import { validator } from "../validate.ts";
import { checkPromptForm, toCompletionRequests } from "./completions.decode.ts";
import { completion, completionChunks } from "./completions.encode.ts";
import { CompletionRequest } from "./completions.schema.ts";
import {
  COMPLETION_EXAMPLE,
  COMPLETION_REQUEST_EXAMPLE,
  COMPLETION_STREAM_EXAMPLE,
} from "./examples.ts";
import { foreignConstraints } from "./foreign-constraints.ts";
import { Completion } from "./response.schema.ts";
import { newStamp } from "./stamp.ts";

const parse = validator(CompletionRequest);

/** POST /v1/completions. Source: OpenAI API reference, "Create completion". */
export function completions(server: Server, beginExtras = noExtras): PostRoute {
  const { deps } = server;
  return {
    method: "POST",
    path: "/v1/completions",
    permission: "inference",
    body: CompletionRequest,
    bodyExample: COMPLETION_REQUEST_EXAMPLE,
    doc: {
      summary: "Continue a text",
      tag: "OpenAI",
      response: {
        description: "The continuation.",
        schema: Completion,
        example: COMPLETION_EXAMPLE,
      },
      stream: { schema: Completion, example: COMPLETION_STREAM_EXAMPLE },
    },
    async answer(context, body) {
      checkPromptForm(body["prompt"]);
      const decoded = toCompletionRequests(parse(body), deps.settings.maxChoices);
      context.warnings.push(...foreignConstraints(body, "json_schema"));
      const stamp = newStamp(deps, "cmpl-");
      const scope = new GenerationScope(server, context, decoded.toWire);
      const extras = beginExtras(server);
      const starts = decoded.requests.map((request, index) => () => {
        const firstChoice = decoded.requests.length > 1 ? index * decoded.choices : null;
        return extras.tap(scope.run(request, decoded.toWireOf(index), firstChoice), request);
      });
      const events = mergeGenerations(starts, scope, (sources) => {
        const requests = sources.flatMap((source) => decoded.requests[source] ?? []);
        return scope.check(requests, (param) => {
          const checked = /^prompt\[(\d+)\]$/.exec(param);
          const source = sources[Number(checked?.[1])];
          return source === undefined ? decoded.toWire(param) : decoded.toWireOf(source)("prompt");
        });
      });
      if (decoded.stream) {
        const frames = completionChunks(events, decoded, stamp, extras.endOf);
        return streamAnswer(server, context, scope, frames);
      }
      holdOpen(context);
      try {
        return jsonResponse(extras.body(await completion(events, decoded, stamp)));
      } finally {
        scope.close();
      }
    },
  };
}
