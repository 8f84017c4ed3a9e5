/** Control characters but line feed and tab: a terminal obeys them (OSC 52 writes the clipboard). */
const CONTROLS = /(?![\n\t])\p{Cc}/gu;

/**
 * What is left of a text when a terminal shall show it and nothing else. Works on any piece of a
 * longer text: a sequence without its escape character is only text.
 */
export function withoutControls(text: string): string {
  return text.replaceAll(CONTROLS, "");
}
