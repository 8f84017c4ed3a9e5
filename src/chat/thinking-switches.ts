import type { ChatOptions, ReasoningEffort } from "./conversation.ts";
import type { TemplateVariables } from "./jinja/template.ts";

const LEVELS = ["minimal", "low", "medium", "high", "xhigh", "max"] as const;
type Level = (typeof LEVELS)[number];

/** Whether the request wants thinking; null = as the model does by itself. */
export function wantsThinking(options: ChatOptions): boolean | null {
  const fromKwargs = options.templateKwargs["enable_thinking"];
  if (typeof fromKwargs === "boolean") return fromKwargs;
  if (options.reasoningEffort !== null) return options.reasoningEffort !== "none";
  return options.enableThinking;
}

/**
 * Every switch that some family reads; a template sees only those it knows. Without a wish nothing
 * is set and the template's own default holds.
 */
export function thinkingVariables(source: string, options: ChatOptions): TemplateVariables {
  const isOn = wantsThinking(options);
  const preserve = options.templateKwargs["preserve_thinking"];
  return {
    ...(isOn === null ? {} : onOff(isOn)),
    ...(isOn !== null && source.includes("skip_thinking") ? { reasoning: isOn } : {}),
    ...effortVariables(source, isOn, options.reasoningEffort),
    ...(typeof preserve === "boolean"
      ? {
          clear_thinking: !preserve,
          truncate_history_thinking: !preserve,
          drop_thinking: !preserve,
        }
      : {}),
  };
}

function onOff(isOn: boolean): TemplateVariables {
  return {
    enable_thinking: isOn,
    thinking: isOn,
    thinking_mode: isOn ? "enabled" : "disabled",
    ...(isOn ? {} : { thinking_budget: 0 }),
  };
}

function effortVariables(
  source: string,
  isOn: boolean | null,
  effort: ReasoningEffort | null,
): TemplateVariables {
  if (!/\breasoning_effort\b/.test(source)) return {};
  if (isOn === false) {
    const off = ["none", "no_think"].find((word) => isQuoted(source, word));
    // Templates without a word for it think least at their lowest level.
    return { reasoning_effort: off ?? clampEffort(source, "minimal") };
  }
  const isNamed = effort !== null && effort !== "none";
  if (isNamed) return { reasoning_effort: clampEffort(source, effort) };
  // A family that does not think unless a level is named is asked for its usual one.
  return isOn === true && isQuoted(source, "no_think")
    ? { reasoning_effort: clampEffort(source, "high") }
    : {};
}

const isQuoted = (source: string, word: string): boolean =>
  source.includes(`'${word}'`) || source.includes(`"${word}"`);

/** The nearest level that the template names; templates that name none have the usual three. */
function clampEffort(source: string, effort: Level): string {
  const named = LEVELS.filter((level) => isQuoted(source, level));
  const usual: readonly Level[] = ["low", "medium", "high"];
  const known = named.length < 2 ? [...new Set([...usual, ...named])] : named;
  const wanted = LEVELS.indexOf(effort);
  return known.reduce((best, level) => {
    const distance = Math.abs(LEVELS.indexOf(level) - wanted);
    return distance < Math.abs(LEVELS.indexOf(best) - wanted) ? level : best;
  });
}

/** What to add to the system message of families that are switched by a word in it; or null. */
export function systemSwitch(options: ChatOptions): string | null {
  const isOn = wantsThinking(options);
  if (isOn === null) return null;
  return isOn ? "/think" : "/no_think";
}
