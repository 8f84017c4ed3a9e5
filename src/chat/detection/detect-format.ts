import { hasCode } from "../../lib/errors.ts";
import { DEFAULT_CHAT_OPTIONS, type ChatOptions, type Message } from "../conversation.ts";
import { FALLBACK_FORMAT, TOOL_FORMATS } from "../formats/format-table.ts";
import type { ReasoningTags, ToolFormat } from "../formats/format.ts";
import { PROBE_OPTIONS, probeConversation, probeFit, type ProbeFit } from "./call-probe.ts";
import { findReasoningTags } from "./reasoning-tags.ts";

/** A conversation as the model's template writes it, without BOS and EOS texts. */
export type RenderProbe = (messages: readonly Message[], options: ChatOptions) => Promise<string>;

export interface DetectionInput {
  /** Source of the chat template. */
  source: string;
  /**
   * May reject where the template refuses; that only means one observation less. `overloaded` ends the
   * detection.
   */
  render: RenderProbe;
  /** The reasoning tags that are one token of the vocabulary each. */
  singleTokens: ReadonlySet<string>;
}

export interface DetectedFormat {
  format: ToolFormat;
  /** Tags of the family, or those that belong to the format; null = no reasoning. */
  reasoning: ReasoningTags | null;
  /** `template`: its own calls were read back. `source`: its text names the form. */
  evidence: "template" | "source" | "none";
}

/**
 * How a model writes tool calls and reasoning. The template renders two known calls, and the format
 * that reads them back is the model's: no list of models, and a changed template is judged by what
 * it does. Templates that never render calls are judged by what their source names; the others get
 * the fallback, whose instructions the renderer adds to the prompt.
 */
export async function detectFormat(input: DetectionInput): Promise<DetectedFormat> {
  const read = await readBack(input);
  const isOwn = read !== null && read !== FALLBACK_FORMAT;
  const named = isOwn ? null : formatNamedBy(input.source);
  const format = isOwn ? read : (named ?? FALLBACK_FORMAT);
  const evidence = isOwn ? "template" : named ? "source" : "none";
  return { format, reasoning: format.reasoning ?? (await reasoningOf(input)), evidence };
}

async function readBack({ source, render }: DetectionInput): Promise<ToolFormat | null> {
  const candidates = TOOL_FORMATS.filter(
    ({ requires }) => requires === null || source.includes(requires),
  );
  for (const count of [2, 1] as const) {
    const rendered = await attempt(render(probeConversation(count), PROBE_OPTIONS));
    const fits = candidates.flatMap((format) => {
      const fit = probeFit(rendered, format);
      return fit === null ? [] : [{ format, fit }];
    });
    const [best] = fits.toSorted((a, b) => compare(a, b));
    if (best !== undefined) return best.format;
  }
  return null;
}

type Fit = { format: ToolFormat; fit: ProbeFit };

/** Better first; of equals the order of the table holds. */
function compare(a: Fit, b: Fit): number {
  const isBare = ({ format }: Fit): number => (format.kind === "bareJson" ? 1 : 0);
  const isGeneral = ({ format }: Fit): number => (format.requires === null ? 1 : 0);
  return (
    isBare(a) - isBare(b) ||
    b.fit.calls - a.fit.calls ||
    b.fit.leftover - a.fit.leftover ||
    Number(b.fit.isNative) - Number(a.fit.isNative) ||
    isGeneral(a) - isGeneral(b) ||
    b.fit.exactness - a.fit.exactness
  );
}

/** The format whose longest telling text stands in the source. */
function formatNamedBy(source: string): ToolFormat | null {
  const named = TOOL_FORMATS.flatMap((format) =>
    format.sourceHints
      .filter((hint) => source.includes(hint))
      .map((hint) => ({ format, length: hint.length })),
  ).filter(({ format }) => format.requires === null || source.includes(format.requires));
  return named.toSorted((a, b) => b.length - a.length)[0]?.format ?? null;
}

async function reasoningOf({
  source,
  render,
  singleTokens,
}: DetectionInput): Promise<ReasoningTags | null> {
  const question = probeConversation(1).slice(0, 1);
  const prompts = await Promise.all(
    [true, null].map((enableThinking) =>
      attempt(render(question, { ...DEFAULT_CHAT_OPTIONS, enableThinking })),
    ),
  );
  return findReasoningTags([source, ...prompts], (text) => singleTokens.has(text));
}

/** "" where the template refuses. @throws LmError overloaded: what was not rendered tells nothing. */
async function attempt(rendering: Promise<string>): Promise<string> {
  try {
    return await rendering;
  } catch (error) {
    if (hasCode(error, "overloaded")) throw error;
    return "";
  }
}
