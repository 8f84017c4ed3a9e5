import type { JobPrompt } from "../protocol/commands.ts";
import type { RawPrompt } from "./events.ts";

/** Control-token text counts as the token: prompts are written with it. */
export const textPrompt = (text: string): JobPrompt => ({
  kind: "text",
  text,
  addSpecial: true,
  parseSpecial: true,
});

/** A prompt that no template wrote, for the engine. */
export function rawPrompt(prompt: RawPrompt): JobPrompt {
  if (prompt.kind === "text") return textPrompt(prompt.text);
  return prompt.kind === "tokens" ? { kind: "tokens", tokens: [...prompt.tokens] } : prompt;
}
