import type { ToolFormat } from "./format.ts";

type Common = Pick<
  ToolFormat,
  | "opensInReasoning"
  | "parallel"
  | "idStyle"
  | "noise"
  | "wrapper"
  | "keepSpecial"
  | "textStops"
  | "reasoning"
  | "sourceHints"
  | "requires"
>;

const COMMON: Common = {
  opensInReasoning: false,
  parallel: true,
  idStyle: "none",
  noise: [],
  wrapper: null,
  keepSpecial: [],
  textStops: [],
  reasoning: null,
  sourceHints: [],
  requires: null,
};

/** What a row of the table states; everything else is the common case. */
type Row<Format extends ToolFormat, Defaults> = Omit<
  Format,
  "kind" | keyof Common | keyof Defaults
> &
  Partial<Pick<Format, keyof Common | (keyof Defaults & keyof Format)>>;

/** A function that completes rows of one kind with the values most of them share. */
export function definer<Format extends ToolFormat>() {
  return <Defaults extends Partial<Format>>(kind: Format["kind"], defaults: Defaults) =>
    (row: Row<Format, Defaults>): Format => {
      const format = { ...COMMON, ...defaults, kind, ...row } as unknown as Format;
      return { ...format, keepSpecial: markersOf(format) };
    };
}

/** Every literal of a format that may be one control token. */
function markersOf(format: ToolFormat): readonly string[] {
  const { sourceHints: _, requires: __, ...spelled } = format;
  const pieces = Object.values(spelled).flatMap((value: unknown) =>
    Array.isArray(value) ? value : [value],
  );
  const markers = pieces.filter(
    (piece): piece is string => typeof piece === "string" && MARKER.test(piece.trim()),
  );
  return [...new Set([...markers.map((marker) => marker.trim()), ...format.keepSpecial])];
}

/** Looks like a control token, or like a run of them with text between. */
const MARKER = /^[<[\]].*[>\]]$/s;
