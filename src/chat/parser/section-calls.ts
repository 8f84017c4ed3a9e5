import type { CallReader } from "./call-reader.ts";
import type { Step } from "./input.ts";

/** How the calls of a section stand in it. */
interface Section {
  /** Begins each call. */
  readonly callStart: string;
  /** Ends the section; null = nothing does. */
  readonly sectionEnd: string | null;
}

/**
 * Reads the calls of a section one after the other, `readCall` from behind each `callStart`. What
 * follows the last call is left as it stands. False = the first is no call.
 *
 * @param marker Was consumed: the start of the section, or of its first call.
 */
export function* readSectionCalls(
  { input, output }: CallReader,
  { callStart, sectionEnd }: Section,
  marker: string,
  readCall: () => Step<boolean>,
): Step<boolean> {
  let found = false;
  for (let atCall = marker === callStart; !output.isFull; atCall = false) {
    if (!atCall) {
      yield* input.skipSpace();
      if (found && !input.mark()) break;
      if (!(yield* input.eat(callStart))) break;
    }
    if (!(yield* readCall())) {
      if (!found) return false;
      input.rewind();
      return true;
    }
    found = true;
  }
  if (!found) return false;
  input.commit();
  if (sectionEnd !== null) yield* input.eatClosing(sectionEnd);
  return true;
}
