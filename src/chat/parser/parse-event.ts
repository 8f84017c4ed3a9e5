/** What a parser makes of a model's output. Deltas: texts of one kind belong together in order. */
export type ParseEvent =
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string }
  /** A call to an offered tool begins; `index` counts from 0. */
  | { type: "toolCall"; index: number; id: string; name: string }
  /** A substring of the arguments' JSON text. */
  | { type: "toolArguments"; index: number; text: string }
  /**
   * `complete`: the arguments are whole JSON as far as the syntax tells; false when the output broke
   * off or broke the format. `lateId`: the model's own identifier where it came after the arguments,
   * too late to replace the one already told.
   */
  | { type: "toolCallEnd"; index: number; complete: boolean; lateId: string | null };
