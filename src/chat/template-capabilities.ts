import type { Tool } from "./conversation.ts";
import type { TemplateVariables } from "./jinja/template.ts";
import { toolVariables } from "./tool-variables.ts";

/** A message as a template reads it. */
export type TemplateMessage = Readonly<Record<string, unknown>>;

/** How the text of a message is given: as one string, or as a list of parts. */
type ContentShape = "string" | "parts";

/**
 * What a template does with a conversation, found by rendering small ones: no list of models is
 * needed, and a changed template is judged by what it does.
 */
export interface TemplateCapabilities {
  content: ContentShape;
  systemRole: boolean;
  /** More than one system message at the start is rendered, `developer` among them if it is known. */
  severalSystems: boolean;
  /** A system message behind a question or an answer is rendered, and so is the first one. */
  laterSystems: boolean;
  developerRole: boolean;
  /** Two user messages in a row are refused. */
  rolesAlternate: boolean;
  /** Thinking is switched by `/no_think` in the system message, not by a variable. */
  switchWord: boolean;
  /** Tool definitions are rendered. */
  tools: boolean;
  /** Calls of earlier assistant turns are rendered. */
  toolCalls: boolean;
  /** A call as the template writes it, for models that are not told how; null = not rendered. */
  callExample: string | null;
  /** Several calls of one turn are rendered. */
  severalCalls: boolean;
  /** How the content of a `tool` message is given; null = such messages are not rendered. */
  toolContent: ContentShape | null;
  /** The text of the answer that must stand between a result and a user message; null = none must. */
  answerAfterResult: "" | " " | null;
  /** How the arguments of a call are given. */
  toolArguments: "object" | "text";
  /** What stands for the absent content of a turn of tool calls only. */
  absentContent: "empty" | "omitted" | "null";
}

/** Renders raw variables; throws where the template refuses them. */
export type RenderVariables = (variables: TemplateVariables) => string;

const USER = "probe user text";
const SYSTEM = "probe system text";
const OTHER = "another probe text";
const ANSWER = "probe answer text";
const LAST = "last probe text";
const RESULT = "probe result text";
const NAME = "tool_name";
const OTHER_NAME = "other_tool_name";
const KEY = "key";
const VALUE = "some value";

const PROBE_TOOL: Tool = {
  name: NAME,
  description: "A probe.",
  parameters: {
    type: "object",
    properties: { [KEY]: { type: "string", description: "A key." } },
    required: [KEY],
  },
  strict: false,
};

/** Renders messages to text; "" where the template refuses. */
type Show = (messages: readonly TemplateMessage[], more?: TemplateVariables) => string;

export function probeCapabilities(
  source: string,
  now: Date,
  render: RenderVariables,
): TemplateCapabilities {
  const common = { add_generation_prompt: true, bos_token: "", eos_token: "" };
  const show: Show = (messages, more = {}) => {
    try {
      return render({ messages, ...common, ...toolVariables(source, [], now), ...more });
    } catch {
      return "";
    }
  };
  const isText = show([{ role: "user", content: USER }]).includes(USER);
  const parts = [{ type: "text", text: USER }];
  const content =
    !isText && show([{ role: "user", content: parts }]).includes(USER) ? "parts" : "string";
  const message = (role: string, text: string): TemplateMessage => ({
    role,
    content: shapedText(content, text),
  });
  const user = message("user", USER);
  const withTool = toolVariables(source, [PROBE_TOOL], now);
  const developerRole =
    source.includes("developer") && show([message("developer", SYSTEM), user]).includes(SYSTEM);
  return {
    content,
    systemRole: show([message("system", SYSTEM), user]).includes(SYSTEM),
    ...probeSystems(show, message, developerRole),
    developerRole,
    rolesAlternate: show([user]) !== "" && show([user, message("user", OTHER)]) === "",
    switchWord:
      source.includes("/no_think") &&
      show([user], { enable_thinking: false }) === show([user], { enable_thinking: true }),
    tools: show([user], withTool).includes(NAME),
    ...probeCalls(
      (messages, more) => show(messages, { ...withTool, ...more }),
      user,
      message("user", LAST),
    ),
  };
}

/** Two system messages, of each role that the template knows: none may be lost. */
function probeSystems(
  show: Show,
  message: (role: string, text: string) => TemplateMessage,
  developerRole: boolean,
): Pick<TemplateCapabilities, "severalSystems" | "laterSystems"> {
  const roles = developerRole ? ["system", "developer"] : ["system"];
  const areShown = (between: readonly TemplateMessage[]): boolean =>
    roles.every((first) =>
      roles.every((second) => {
        const system = [message(first, SYSTEM), ...between, message(second, OTHER)];
        const text = show([...system, message("user", LAST)]);
        return text.includes(SYSTEM) && text.includes(OTHER);
      }),
    );
  const user = message("user", USER);
  return {
    severalSystems: areShown([]),
    laterSystems: areShown([user]) && areShown([user, message("assistant", ANSWER)]),
  };
}

/** Text as the content of a message. */
export const shapedText = (shape: ContentShape, text: string): unknown =>
  shape === "parts" ? [{ type: "text", text }] : text;

type CallCapabilities = Pick<
  TemplateCapabilities,
  | "toolCalls"
  | "callExample"
  | "severalCalls"
  | "toolContent"
  | "answerAfterResult"
  | "toolArguments"
  | "absentContent"
>;

const ABSENT = {
  empty: { content: "" },
  omitted: {},
  null: { content: null },
} as const;

const OBJECT_ARGUMENTS = { [KEY]: VALUE };
const TEXT_ARGUMENTS = JSON.stringify(OBJECT_ARGUMENTS);

const NO_CALLS = {
  toolCalls: false,
  callExample: null,
  severalCalls: false,
  answerAfterResult: null,
  toolArguments: "object",
  absentContent: "empty",
} as const;

function probeCalls(show: Show, user: TemplateMessage, last: TemplateMessage): CallCapabilities {
  const trials = (["empty", "omitted", "null"] as const).flatMap((absentContent) =>
    (["object", "text"] as const).flatMap((toolArguments) =>
      (["string", "parts"] as const).map((toolContent) => {
        const form = { absentContent, toolArguments, toolContent };
        return { ...form, text: show([user, callTurn(form, [NAME]), resultTurn(form, 0, NAME)]) };
      }),
    ),
  );
  const [best] = trials.toSorted((a, b) => score(b) - score(a));
  const toolContent = best?.text.includes(RESULT) === true ? best.toolContent : null;
  if (best === undefined || !isFaithful(best.text)) {
    return { ...NO_CALLS, toolContent };
  }
  const several = show([
    user,
    callTurn(best, [NAME, OTHER_NAME]),
    resultTurn(best, 0, NAME),
    resultTurn(best, 1, OTHER_NAME),
  ]);
  const { toolArguments, absentContent } = best;
  const answered = [user, callTurn(best, [NAME]), resultTurn(best, 0, NAME)];
  return {
    toolCalls: true,
    callExample: exampleOf(show, user, callTurn(best, [NAME])),
    severalCalls: several.includes(OTHER_NAME),
    toolContent,
    answerAfterResult: probeAnswer(show, answered, last),
    toolArguments,
    absentContent,
  };
}

type CallForm = Pick<TemplateCapabilities, "absentContent" | "toolArguments"> & {
  toolContent: ContentShape;
};

function callTurn(form: CallForm, names: readonly string[]): TemplateMessage {
  return {
    role: "assistant",
    ...ABSENT[form.absentContent],
    tool_calls: names.map((name, index) => ({
      id: `call0000${index}`,
      type: "function",
      function: {
        name,
        arguments: form.toolArguments === "object" ? OBJECT_ARGUMENTS : TEXT_ARGUMENTS,
      },
    })),
  };
}

const resultTurn = (form: CallForm, index: number, name: string): TemplateMessage => ({
  role: "tool",
  tool_call_id: `call0000${index}`,
  name,
  content: shapedText(form.toolContent, RESULT),
});

/** Templates that let no user speak behind a result take an empty answer between, or a blank one. */
function probeAnswer(
  show: Show,
  answered: readonly TemplateMessage[],
  last: TemplateMessage,
): TemplateCapabilities["answerAfterResult"] {
  const isShown = (...answer: TemplateMessage[]): boolean =>
    show([...answered, ...answer, last]).includes(LAST);
  if (isShown()) return null;
  return isShown({ role: "assistant", content: "" }) ? "" : " ";
}

/** The call stands in the prompt, and its arguments are neither Python's dict nor doubly quoted. */
function isFaithful(text: string): boolean {
  const at = text.lastIndexOf(VALUE);
  const call = text.slice(Math.max(0, at - 200), at);
  return at !== -1 && !call.includes(`{'${KEY}'`) && !call.includes(`\\"${KEY}`);
}

/** Faithful first, then complete, then without Python's None; of equals the first stays first. */
const score = ({ text }: { text: string }): number =>
  (isFaithful(text) ? 8 : 0) +
  (text.includes(RESULT) ? 4 : 0) +
  (text !== "" && !text.includes("None") ? 1 : 0);

/** What stands between the start of the assistant's turn and the end of its call. */
function exampleOf(show: Show, user: TemplateMessage, call: TemplateMessage): string | null {
  const before = show([user], { enable_thinking: false, thinking: false });
  const after = show([user, call], { add_generation_prompt: false });
  let start = 0;
  while (start < before.length && before[start] === after[start]) start += 1;
  if (after[start - 1] === "<") start -= 1;
  const example = after.slice(start);
  // Marks that end the turn must not stand in a system prompt.
  const end = [...example.matchAll(/(?:tool|call|action)[^<>]*>|[}\]]/gi)].at(-1);
  if (!example.includes(NAME) || end === undefined) return null;
  return example.slice(0, end.index + end[0].length).trim();
}
