import type { ReasoningTags } from "../formats/format.ts";

interface KnownTags extends ReasoningTags {
  /** One half alone also means something else, so both must be seen. */
  readonly isAmbiguous?: true;
}

/** Tags that families put around reasoning; the first that a template knows are meant. */
const KNOWN_TAGS: readonly KnownTags[] = [
  { start: "<think>", end: "</think>" },
  { start: "<seed:think>", end: "</seed:think>" },
  { start: "<mm:think>", end: "</mm:think>" },
  { start: "[THINK]", end: "[/THINK]" },
  { start: "<|START_THINKING|>", end: "<|END_THINKING|>" },
  { start: "<|channel>thought", end: "<channel|>" },
  { start: "<|inner_prefix|>", end: "<|inner_suffix|>" },
  { start: "<think:opensource>", end: "</think:opensource>" },
  { start: "<|open|>think<|sep|>", end: "<|close|>think<|sep|>" },
  { start: "<thought>", end: "</thought>" },
  { start: "<|begin_of_thought|>", end: "<|end_of_thought|>" },
  { start: "<|think|>", end: "<|end|>", isAmbiguous: true },
  { start: "Here are my reasoning steps:\n", end: "[BEGIN FINAL RESPONSE]", isAmbiguous: true },
];

/** Every tag by itself: `isSingleToken` below is only asked about these. */
export const REASONING_TAG_TEXTS: readonly string[] = KNOWN_TAGS.flatMap(({ start, end }) => [
  start,
  end,
]);

/**
 * The reasoning tags of a model; null = it has none.
 *
 * @param visible The template's source and prompts it renders: templates that build their tags from
 *   pieces show them only there.
 * @param isSingleToken Whether the vocabulary has a token for this text: a model may know tags that
 *   its template never mentions.
 */
export function findReasoningTags(
  visible: readonly string[],
  isSingleToken: (text: string) => boolean,
): ReasoningTags | null {
  const text = visible.join("\n");
  const mentioned = KNOWN_TAGS.find(({ start, end, isAmbiguous }) => {
    const hasStart = text.includes(start) || text.includes(JSON.stringify(start).slice(1, -1));
    const hasEnd = text.includes(end);
    return isAmbiguous === true ? hasStart && hasEnd : hasStart || hasEnd;
  });
  const found =
    mentioned ?? KNOWN_TAGS.find(({ start, end }) => isSingleToken(start) && isSingleToken(end));
  return found === undefined ? null : { start: found.start, end: found.end };
}

/**
 * Whether a prompt ends inside reasoning, so that the answer goes on with it.
 *
 * @param isContinued The prompt ends with the beginning of an answer, which may hold reasoning.
 */
export function isReasoningOpen(prompt: string, tags: ReasoningTags, isContinued = false): boolean {
  if (prompt.trimEnd().endsWith(tags.start.trimEnd())) return true;
  return isContinued && prompt.lastIndexOf(tags.start) > prompt.lastIndexOf(tags.end);
}

/** Whether a prompt ends with the end of reasoning, so that the answer has none. */
export const isReasoningOver = (prompt: string, tags: ReasoningTags): boolean =>
  prompt.trimEnd().endsWith(tags.end.trimEnd());
