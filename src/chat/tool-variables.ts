import type { Tool } from "./conversation.ts";
import type { TemplateVariables } from "./jinja/template.ts";

/**
 * The variables under which templates look for tool definitions. Nothing at all without tools:
 * several templates render differently for an empty list.
 */
export function toolVariables(
  source: string,
  tools: readonly Tool[],
  now: Date,
): TemplateVariables {
  const isOffered = tools.length > 0;
  const definitions = tools.map(({ name, description, parameters }) => ({
    type: "function",
    function: {
      name,
      ...(description === null ? {} : { description }),
      parameters: parameters ?? { type: "object", properties: {} },
    },
  }));
  // One family takes the definitions as text under another name, and the day.
  const asText = source.includes("+ functions") && source.includes("datetime");
  return {
    ...(isOffered ? { tools: definitions } : {}),
    ...(isOffered && source.includes("xml_tools") ? { xml_tools: definitions } : {}),
    ...(isOffered && asText ? { functions: JSON.stringify(definitions, null, 4) } : {}),
    ...(asText ? { datetime: now.toDateString() } : {}),
  };
}
