import type { ToolFormat } from "../formats/format.ts";
import type { Input } from "./input.ts";
import type { OfferedTools } from "./offered-tools.ts";
import type { Output } from "./output.ts";

/** What the reading routines of one answer share. */
export interface CallReader {
  readonly input: Input;
  readonly output: Output;
  readonly tools: OfferedTools;
  readonly format: ToolFormat | null;
  readonly state: ReaderState;
}

/** What the reading routines tell about the place they are at. */
export interface ReaderState {
  insideReasoning: boolean;
  toolSectionOpen: boolean;
}

/** Longest name of a tool, with whatever stands around it in its head. */
export const HEAD_LIMIT = 512;

/**
 * Begins a call. Until here the text could still turn out to be no call and was kept; now it cannot
 * be brought back.
 */
export function startCall(reader: CallReader, name: string, id: string | null): number {
  reader.input.commit();
  return reader.output.call(name, id);
}
