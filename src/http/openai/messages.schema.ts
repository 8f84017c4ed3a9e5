import { Type, type Static } from "typebox";
import { MAX_MESSAGES } from "../../lib/limits.ts";
import { oneOf, opt } from "../schema.ts";

const TextPart = Type.Object({
  type: oneOf(["text", "input_text", "output_text"], "Plain text."),
  text: Type.String(),
});

const RefusalPart = Type.Object({ type: Type.Literal("refusal"), refusal: Type.String() });

/** Pictures and the like are recognised, so that the answer can say what the model cannot take. */
const MediaPart = Type.Object({
  type: oneOf(
    ["image_url", "input_image", "input_audio", "input_video", "video_url", "file"],
    "Only for models that take such input.",
  ),
});

const SystemMessage = Type.Object({
  role: oneOf(
    ["system", "developer"],
    "Instructions. Where the template of the model shows none in its place, it joins the first one.",
  ),
  content: Type.Union([Type.String(), Type.Array(TextPart, { minItems: 1 })]),
  name: opt(Type.String()),
});

const UserMessage = Type.Object({
  role: Type.Literal("user"),
  content: Type.Union([
    Type.String(),
    Type.Array(Type.Union([TextPart, MediaPart]), { minItems: 1 }),
  ]),
  name: opt(Type.String()),
});

const FunctionCall = Type.Object({
  name: Type.String({ minLength: 1 }),
  arguments: Type.String({ description: "JSON as text." }),
});

const AssistantToolCall = Type.Object({
  id: Type.String(),
  type: opt(Type.String({ description: "function" })),
  function: FunctionCall,
});

const AssistantMessage = Type.Object({
  role: Type.Literal("assistant"),
  content: opt(
    Type.Union([Type.String(), Type.Array(Type.Union([TextPart, RefusalPart]))], {
      description: "May be null or absent when the turn calls tools.",
    }),
  ),
  tool_calls: opt(Type.Array(AssistantToolCall)),
  function_call: opt(FunctionCall),
  refusal: opt(Type.String()),
  reasoning_content: opt(Type.String()),
  reasoning: opt(Type.String()),
  prefix: opt(Type.Boolean({ description: "On the last message: continue this turn." })),
  name: opt(Type.String()),
});

const ToolMessage = Type.Object({
  role: Type.Literal("tool"),
  content: Type.Union([
    Type.String(),
    Type.Array(Type.Union([TextPart, MediaPart]), { minItems: 1 }),
  ]),
  tool_call_id: opt(
    Type.String({ description: "May be left out when exactly one call is unanswered." }),
  ),
  name: opt(Type.String()),
});

const FunctionMessage = Type.Object({
  role: Type.Literal("function"),
  name: Type.String(),
  content: opt(Type.String()),
});

export const ChatMessage = Type.Union([
  SystemMessage,
  UserMessage,
  AssistantMessage,
  ToolMessage,
  FunctionMessage,
]);
export type ChatMessage = Static<typeof ChatMessage>;
export type AssistantMessage = Static<typeof AssistantMessage>;
export type ToolMessage = Static<typeof ToolMessage>;
export type MessageContent = ChatMessage["content"];

export const ChatMessages = Type.Array(ChatMessage, { minItems: 1, maxItems: MAX_MESSAGES });
