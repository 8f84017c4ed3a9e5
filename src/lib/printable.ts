const MAX_LENGTH = 128;

/** A stranger's own word, safe to show: at most 128 characters, no control characters. */
export function printable(text: string): string {
  const shown = text.slice(0, MAX_LENGTH).replace(/[\p{C}\u2028\u2029]/gu, "\uFFFD");
  return text.length > MAX_LENGTH ? `${shown}...` : shown;
}
