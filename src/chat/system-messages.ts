import { type Draft, plainDraft } from "./message-draft.ts";
import type { TemplateCapabilities } from "./template-capabilities.ts";

type SystemCapabilities = Pick<
  TemplateCapabilities,
  "systemRole" | "severalSystems" | "laterSystems"
>;

/** `system` and `developer` are one kind of message: where a template knows both, both keep their role. */
const isSystem = ({ role }: Pick<Draft, "role">): boolean =>
  role === "system" || role === "developer";

const joined = (drafts: readonly Draft[]): string =>
  drafts.map((draft) => draft.text ?? "").join("\n\n");

/** Whether a system message of this conversation is not shown where it stands but with the first one. */
export function movesSystemMessages(
  can: SystemCapabilities,
  messages: readonly Pick<Draft, "role">[],
): boolean {
  const isMovable = can.systemRole && !can.laterSystems;
  return isMovable && messages.slice(leadingCount(messages)).some(isSystem);
}

/**
 * System messages where this template shows them, so that none is lost and none is refused.
 * @param additions Texts of the server's own, behind those of the first system message.
 */
export function placeSystemMessages(
  can: SystemCapabilities,
  messages: readonly Draft[],
  additions: readonly string[],
): Draft[] {
  const drafts = withSystemText(messages, additions);
  if (!can.systemRole) return systemIntoUser(can.severalSystems ? drafts : joinLeading(drafts));
  const placed = can.laterSystems ? drafts : hoistLater(drafts);
  return can.severalSystems ? placed : joinLeading(placed);
}

function withSystemText(drafts: readonly Draft[], additions: readonly string[]): Draft[] {
  if (additions.length === 0) return [...drafts];
  const [first, ...rest] = drafts;
  if (first !== undefined && isSystem(first)) {
    return [{ ...first, text: [first.text ?? "", ...additions].join("\n\n") }, ...rest];
  }
  return [plainDraft("system", additions.join("\n\n")), ...drafts];
}

/** System messages behind other turns become part of the leading one, which they make if there is none. */
function hoistLater(drafts: readonly Draft[]): Draft[] {
  const end = leadingCount(drafts);
  const rest = drafts.slice(end);
  const later = rest.filter(isSystem);
  if (later.length === 0) return [...drafts];
  const systems = [...drafts.slice(0, end), ...later];
  const role = systems[0]?.role ?? "system";
  return [plainDraft(role, joined(systems)), ...rest.filter((draft) => !isSystem(draft))];
}

function joinLeading(drafts: readonly Draft[]): Draft[] {
  const end = leadingCount(drafts);
  const [first] = drafts;
  if (end < 2 || first === undefined) return [...drafts];
  return [plainDraft(first.role, joined(drafts.slice(0, end))), ...drafts.slice(end)];
}

function leadingCount(drafts: readonly Pick<Draft, "role">[]): number {
  const end = drafts.findIndex((draft) => !isSystem(draft));
  return end === -1 ? drafts.length : end;
}

/** For templates without a system role: its text opens the user message that follows. */
function systemIntoUser(drafts: readonly Draft[]): Draft[] {
  const result: Draft[] = [];
  let pending: string[] = [];
  for (const draft of drafts) {
    if (draft.role === "system") {
      pending.push(draft.text ?? "");
      continue;
    }
    const isUser = draft.role === "user";
    if (pending.length > 0 && !isUser) result.push(plainDraft("user", pending.join("\n\n")));
    const text = [...pending, draft.text ?? ""].join("\n\n");
    result.push(isUser && pending.length > 0 ? { ...draft, text } : draft);
    pending = [];
  }
  return pending.length > 0 ? [...result, plainDraft("user", pending.join("\n\n"))] : result;
}
