import type { ToolChoice } from "./conversation.ts";

/** Whether a call may name this tool, one of those that were sent. */
export function isCallable(name: string, choice: ToolChoice): boolean {
  if (choice.kind === "none") return false;
  if (choice.kind === "named") return name === choice.name;
  return choice.allowed === null || choice.allowed.includes(name);
}
