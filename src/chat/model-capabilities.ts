import type { CatalogModel } from "../catalog/model.ts";

export type ReasoningOption = "off" | "on" | "low" | "medium" | "high";

/** What a model's template lets a request choose. */
export interface ModelCapabilities {
  /** Its template shows tools to the model. */
  toolUse: boolean;
  /** null = nothing can be chosen. */
  reasoning: { allowed: readonly ReasoningOption[]; default: ReasoningOption } | null;
}

const NOTHING: ModelCapabilities = Object.freeze({ toolUse: false, reasoning: null });

/** Templates are few and long: each is read once. */
const known = new Map<string, ModelCapabilities>();
const MAX_KNOWN = 1_000;

/** Read off the template's source; nothing is rendered, so that long lists of models are cheap. */
export function modelCapabilities(
  model: Pick<CatalogModel, "kind" | "chatTemplate">,
): ModelCapabilities {
  const source = model.chatTemplate;
  if (model.kind !== "llm" || source === null) return NOTHING;
  const seen = known.get(source);
  if (seen) return seen;
  const read = { toolUse: /\btools\b/.test(source), reasoning: readReasoning(source) };
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(source, read);
  return read;
}

function readReasoning(source: string): ModelCapabilities["reasoning"] {
  const hasSwitch =
    /\b(enable_thinking|skip_thinking|thinking_mode)\b|\/no_think/.test(source) ||
    /(?<![.'"\w])thinking is (not )?(un)?defined|\{%-?\s*(el)?if (not )?thinking\s*-?%\}/.test(
      source,
    );
  const hasEffort = /\breasoning_effort\b/.test(source);
  if (hasEffort) {
    const levels = ["low", "medium", "high"] as const;
    return { allowed: hasSwitch ? ["off", ...levels] : levels, default: "medium" };
  }
  if (hasSwitch) return { allowed: ["off", "on"], default: isOffByDefault(source) ? "off" : "on" };
  return opensThinking(source) ? { allowed: ["on"], default: "on" } : null;
}

/** `x is defined and x` thinks only when told; `... and x is false` stops only when told. */
function isOffByDefault(source: string): boolean {
  const own = /\bset (?:enable_)?thinking\s*=\s*(true|false)\b/i.exec(source)?.[1];
  if (own !== undefined) return own.toLowerCase() === "false";
  return (
    /\b(enable_thinking|thinking) is defined and \1\b(?!\s*(is|==|!=))/i.test(source) ||
    /\{%-?\s*(el)?if thinking\s*-?%\}/.test(source)
  );
}

/** The template itself begins the answer with an open block of thinking. */
function opensThinking(source: string): boolean {
  const prompt = source.slice(Math.max(0, source.lastIndexOf("add_generation_prompt")));
  return /<(seed:)?think>(?![^{%]*<\/)/.test(prompt);
}
