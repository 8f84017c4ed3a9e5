import { LmError } from "../lib/errors.ts";

/** Longest part of a path that is shown, in UTF-16 units. */
const SHOWN_LENGTH = 256;

/** APIs that common clients ask first, and what makes these clients ask the one that is served. */
const WAYS_OUT: readonly (readonly [path: string, hint: string])[] = [
  [
    "/v1/responses",
    "This server has /v1/chat/completions: AI SDK: openai.chat(model), LangChain: " +
      'useResponsesApi: false, OpenAI Agents: setOpenAIAPI("chat_completions").',
  ],
  ["/v1/messages", "This server has /v1/chat/completions, for clients of the OpenAI API."],
];

/** The refusal of a path that no route has: LM Studio's own sentence, and a way out where one is known. */
export function missingRoute(method: string, path: string): LmError<"route_not_found"> {
  const shown = path.slice(0, SHOWN_LENGTH);
  const sentence = `Unexpected endpoint or method. (${method} ${shown})`;
  const hint = WAYS_OUT.find(([api]) => path === api || path.startsWith(`${api}/`))?.[1];
  const message = hint === undefined ? sentence : `${sentence} ${hint}`;
  return new LmError("route_not_found", { method, path: shown }, message);
}
