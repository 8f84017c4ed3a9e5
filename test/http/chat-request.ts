import type { GenerateRequest } from "../../src/chat/events.ts";
import { appWith, done, errorOf, finished, play, post, started } from "./fakes.ts";

export const CHAT = "/v1/chat/completions";

/** What the body of a chat request becomes. */
export async function chatInput(body: object) {
  const seen: GenerateRequest[] = [];
  const app = appWith({
    generate: play([started(), finished(), done], (request) => seen.push(request)),
  });
  const response = await app.handle(post(CHAT, body));
  const answered = await response.text();
  if (response.status !== 200) throw new Error(answered);
  const decoded = seen[0]?.input;
  if (decoded?.kind !== "chat") throw new Error("not a chat");
  return decoded;
}

/** How a chat request is refused. */
export async function chatRefusal(body: object) {
  const response = await appWith().handle(post(CHAT, body));
  const { code, param } = await errorOf(response);
  return { status: response.status, code, param };
}
