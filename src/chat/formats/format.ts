/**
 * How model families write tool calls. One value of `ToolFormat` describes one surface form; the
 * parser reads calls by it and the grammar builder spells them by it.
 *
 * Pieces are literal text. Between two pieces a model may put whitespace unless said otherwise, so
 * the pieces carry none of their own except where it is part of the marker.
 */

export interface ReasoningTags {
  /** Never empty. */
  readonly start: string;
  readonly end: string;
}

/** How a family writes the identifier of a call; what a template expects back in the history. */
export type IdStyle =
  /** The model writes none. */
  | "none"
  /** `functions.NAME:INDEX`, which also holds the name. */
  | "indexed"
  /** Exactly nine letters or digits. */
  | "nine"
  /** A decimal counter from 0 as a JSON string. */
  | "counter"
  /** Any short word. */
  | "word";

interface FormatBase {
  readonly name: string;
  /**
   * Any of these begins one or more calls; the first is the form the family's template writes.
   * Empty when calls begin without a marker (`bareJson`, `channels`, `recipients`).
   */
  readonly openers: readonly string[];
  /** A call written before the reasoning ends, ends it. Elsewhere such text is reasoning. */
  readonly opensInReasoning: boolean;
  /** The family writes several calls in one answer. */
  readonly parallel: boolean;
  readonly idStyle: IdStyle;
  /** Markers without content, dropped wherever they occur in text. */
  readonly noise: readonly string[];
  /** A pair around the whole text; dropped when the text begins with the first. */
  readonly wrapper: readonly [string, string] | null;
  /** Texts that must survive detokenisation where they are control tokens: every marker above too. */
  readonly keepSpecial: readonly string[];
  /** Texts that end the answer where the vocabulary has no end token for them. */
  readonly textStops: readonly string[];
  /** Reasoning that belongs to the format itself; null = tags are found per model. */
  readonly reasoning: ReasoningTags | null;
  /** Texts in a template's source that choose this format, where rendered calls cannot tell. */
  readonly sourceHints: readonly string[];
  /** Counts only for templates whose source holds this text; null = for all. */
  readonly requires: string | null;
}

/** `{"name": .., "arguments": {..}}` behind a marker. */
export interface JsonFormat extends FormatBase {
  readonly kind: "json";
  /** After a call, or after all calls of a section; null = nothing. */
  readonly close: string | null;
  /** One section holds all calls; otherwise each call has its own `openers[0]` and `close`. */
  readonly section: boolean;
  /** The calls of a section stand in `[` `]`, separated by commas; otherwise by newlines. */
  readonly array: boolean;
  /** null = the name is itself the only key: `{"NAME": {..}}`. */
  readonly nameKey: string | null;
  readonly argumentsKey: string;
  /** Key of the identifier and where it stands; null = none. */
  readonly id: { readonly key: string; readonly position: "first" | "last" } | null;
  /** Names that mean "no tool" and make no call. */
  readonly ignoredNames: readonly string[];
}

/** A JSON call that is the answer itself; other JSON is text. `openers` may stand before it. */
export interface BareJsonFormat extends FormatBase {
  readonly kind: "bareJson";
  readonly close: string | null;
  readonly nameKey: string;
  readonly argumentsKey: string;
  /** Between calls. */
  readonly separator: string;
  /** `[f(a=1), g()]` is read as well. */
  readonly python: boolean;
}

/** The name between markers, then the arguments as one JSON object. */
export interface NamedJsonFormat extends FormatBase {
  readonly kind: "namedJson";
  /** Around all calls. null = none; then each call begins with `openers[0]`. */
  readonly sectionStart: string | null;
  readonly sectionEnd: string | null;
  readonly callStart: string;
  /** Before the name, for example `functions.`; may be "". */
  readonly namePrefix: string;
  /** Between identifier and name, when the identifier comes first. */
  readonly idEnd: string | null;
  /** Between name and identifier, when the identifier comes second. */
  readonly idStart: string | null;
  /** Directly before the arguments. */
  readonly nameEnd: string;
  /** After the arguments, for example a closing fence; "" = nothing. */
  readonly argumentsEnd: string;
  /** "" = nothing. */
  readonly callEnd: string;
}

/** How a tag states the type of a value. */
export interface TypeMark {
  /** Between the key and the stated type, for example `" string="`. */
  readonly before: string;
  /** After the stated type, for example `">`. */
  readonly after: string;
  /** `boolean`: `true` for strings, else `false`. `schema`: the JSON type, integers as `number`. */
  readonly style: "boolean" | "schema";
}

/** One tag per argument: strings raw, everything else as JSON. */
export interface TaggedFormat extends FormatBase {
  readonly kind: "tagged";
  /** Around all calls. null = none; then each call begins with `callStart`. */
  readonly sectionStart: string | null;
  readonly sectionEnd: string | null;
  /** Around one call, before the name's own marker; "" = nothing. */
  readonly callStart: string;
  /** Before the name; "" = the name follows `callStart`. */
  readonly nameStart: string;
  readonly nameEnd: string;
  /** Text between the name's end and the call's own end mark (` index="1"`); null = none. */
  readonly nameTailEnd: string | null;
  readonly keyStart: string;
  readonly keyEnd: string;
  readonly typeMark: TypeMark | null;
  /** Before the value, "" = nothing; no whitespace between it and the value. */
  readonly valueStart: string;
  readonly valueEnd: string;
  /** One newline on each side of the value is not part of it. */
  readonly valueNewlines: boolean;
  /** Text with `<` or `&` stands in `<![CDATA[` `]]>`. */
  readonly cdata: boolean;
  /** Closes what `nameStart` opened, before `callEnd`; "" = nothing. */
  readonly nameClose: string;
  readonly callEnd: string;
  /** Around the arguments when they come as one JSON object instead of tags; null = never. */
  readonly jsonBlock: readonly [string, string] | null;
  /** Names and keys stand in XML attributes, with entities. */
  readonly escaped: boolean;
  /** Each call is an answer of its own, addressed to the tool by a header; null = no header. */
  readonly header: {
    readonly before: string;
    readonly after: string;
    /** Ends a message that another one follows. */
    readonly end: string;
    /** Begins the next message, before its header. */
    readonly next: string;
  } | null;
}

/** Arguments as nested elements, every tag behind `prefix`; lists as `<item>`. */
export interface ElementsFormat extends FormatBase {
  readonly kind: "elements";
  readonly prefix: string;
  /** Tag names without prefix and angle brackets. */
  readonly sectionTag: string;
  /** `<invoke name="NAME">`. */
  readonly callTag: string;
  readonly itemTag: string;
}

/** `f(a="x", b=1)` with Python or JSON literals. */
export interface PythonFormat extends FormatBase {
  readonly kind: "python";
  readonly close: string;
  /** Calls stand in `[` `]` separated by commas; otherwise one per line. */
  readonly brackets: boolean;
}

/** `NAME{key:value}` with bare keys and strings in `quote`. */
export interface DictFormat extends FormatBase {
  readonly kind: "dict";
  readonly quote: string;
  readonly close: string;
}

/** Messages with a header that names a channel and a recipient (harmony). */
export interface ChannelsFormat extends FormatBase {
  readonly kind: "channels";
  /** Begins each further message: `<|start|>` role. */
  readonly messageStart: string;
  readonly channel: string;
  readonly constrain: string;
  /** Ends the header. */
  readonly body: string;
  readonly messageEnds: readonly string[];
  readonly recipient: string;
  readonly namePrefix: string;
  readonly reasoningChannel: string;
}

/** `NAME\n` then text or JSON arguments; messages separated by `separator`. */
export interface RecipientsFormat extends FormatBase {
  readonly kind: "recipients";
  readonly separator: string;
  /** Recipient of plain text. */
  readonly textName: string;
}

export type ToolFormat =
  | JsonFormat
  | BareJsonFormat
  | NamedJsonFormat
  | TaggedFormat
  | ElementsFormat
  | PythonFormat
  | DictFormat
  | ChannelsFormat
  | RecipientsFormat;
