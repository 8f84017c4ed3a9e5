import { definer } from "./define.ts";
import type {
  ChannelsFormat,
  DictFormat,
  ElementsFormat,
  PythonFormat,
  RecipientsFormat,
} from "./format.ts";

const python = definer<PythonFormat>()("python", { brackets: true });
const dict = definer<DictFormat>()("dict", {});
const elements = definer<ElementsFormat>()("elements", {});
const channels = definer<ChannelsFormat>()("channels", {});
const recipients = definer<RecipientsFormat>()("recipients", {});

const ELEMENT_PREFIX = "]<]minimax[>[";

/** Formats with a notation of their own for arguments or for whole messages. */
export const LITERAL_FORMATS = [
  python({
    name: "lfm-2",
    openers: ["<|tool_call_start|>"],
    close: "<|tool_call_end|>",
    sourceHints: ["<|tool_call_start|>", "<|tool_list_start|>", "List of tools: ["],
  }),
  python({
    name: "olmo-3",
    openers: ["<function_calls>"],
    close: "</function_calls>",
    brackets: false,
    sourceHints: ["<function_calls>"],
  }),
  dict({
    name: "gemma-4",
    openers: ["<|tool_call>call:"],
    quote: '<|"|>',
    close: "<tool_call|>",
    noise: ["<|channel>", "<channel|>"],
    keepSpecial: ["<|tool_call>", "<|channel>", "<channel|>", "<|turn>"],
    textStops: ["<|tool_response>"],
    sourceHints: ["<|tool_call>call:"],
  }),
  dict({
    name: "function-gemma",
    openers: ["<start_function_call>call:"],
    quote: "<escape>",
    close: "<end_function_call>",
    keepSpecial: ["<start_function_call>", "<start_function_response>"],
    textStops: ["<start_function_response>"],
    sourceHints: ["<start_function_call>"],
  }),
  elements({
    name: "minimax-m3",
    openers: [`${ELEMENT_PREFIX}<tool_call>`],
    prefix: ELEMENT_PREFIX,
    sectionTag: "tool_call",
    callTag: "invoke",
    itemTag: "item",
    keepSpecial: [ELEMENT_PREFIX, "<tool_call>", "</tool_call>"],
    sourceHints: [ELEMENT_PREFIX],
  }),
  channels({
    name: "harmony",
    openers: [],
    parallel: false,
    messageStart: "<|start|>",
    channel: "<|channel|>",
    constrain: "<|constrain|>",
    body: "<|message|>",
    messageEnds: ["<|end|>", "<|return|>", "<|call|>"],
    recipient: " to=",
    namePrefix: "functions.",
    reasoningChannel: "analysis",
    reasoning: { start: "<|channel|>analysis<|message|>", end: "<|end|>" },
    sourceHints: ["<|channel|>commentary"],
  }),
  recipients({
    name: "functionary-3.2",
    openers: [],
    separator: ">>>",
    textName: "all",
    sourceHints: [">>>${recipient}"],
  }),
] as const satisfies readonly (
  PythonFormat | DictFormat | ElementsFormat | ChannelsFormat | RecipientsFormat
)[];
