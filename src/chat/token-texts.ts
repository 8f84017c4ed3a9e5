import type { JobEvent } from "../protocol/events.ts";

type TextEvent = Extract<JobEvent, { type: "text" }>;

/**
 * The text that each token of an event brought, in order; "" for one that has none of its own or whose
 * text comes with a later one. Where nothing is known of several tokens, the last brought all of it.
 */
export function tokenTexts({ text, tokens, sizes }: Omit<TextEvent, "type">): string[] {
  let read = 0;
  return Array.from({ length: tokens }, (_, index) => {
    // What the end of a choice let go of is the last token's too.
    if (index === tokens - 1) return text.slice(read);
    return text.slice(read, (read += sizes?.[index] ?? 0));
  });
}
