import { definer } from "./define.ts";
import type { NamedJsonFormat } from "./format.ts";

const namedJson = definer<NamedJsonFormat>()("namedJson", {
  sectionStart: null,
  sectionEnd: null,
  namePrefix: "",
  idEnd: null,
  idStart: null,
  argumentsEnd: "",
  callEnd: "",
});

const DEEPSEEK = {
  openers: ["<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>"],
  sectionStart: "<｜tool▁calls▁begin｜>",
  sectionEnd: "<｜tool▁calls▁end｜>",
  callStart: "<｜tool▁call▁begin｜>",
  callEnd: "<｜tool▁call▁end｜>",
} as const;

/** Formats that write the name between markers and the arguments as one JSON object. */
export const NAMED_JSON_FORMATS = [
  namedJson({
    name: "functionary-3.1",
    openers: ["<function="],
    callStart: "<function=",
    nameEnd: ">",
    callEnd: "</function>",
    keepSpecial: ["<|eom_id|>"],
  }),
  namedJson({
    name: "mistral-v13",
    openers: ["[TOOL_CALLS]"],
    callStart: "[TOOL_CALLS]",
    idStart: "[CALL_ID]",
    idStyle: "nine",
    nameEnd: "[ARGS]",
    requires: "[CALL_ID]",
  }),
  namedJson({
    name: "mistral-v11",
    openers: ["[TOOL_CALLS]"],
    callStart: "[TOOL_CALLS]",
    nameEnd: "[ARGS]",
    sourceHints: ["[ARGS]"],
  }),
  namedJson({
    name: "kimi-k2",
    openers: ["<|tool_calls_section_begin|>", "<|tool_call_begin|>"],
    opensInReasoning: true,
    idStyle: "indexed",
    sectionStart: "<|tool_calls_section_begin|>",
    sectionEnd: "<|tool_calls_section_end|>",
    callStart: "<|tool_call_begin|>",
    namePrefix: "functions.",
    nameEnd: "<|tool_call_argument_begin|>",
    callEnd: "<|tool_call_end|>",
    sourceHints: ["<|tool_calls_section_begin|>"],
  }),
  namedJson({ ...DEEPSEEK, name: "deepseek-v3.1", keepSpecial: [], nameEnd: "<｜tool▁sep｜>" }),
  namedJson({
    ...DEEPSEEK,
    name: "deepseek-r1",
    namePrefix: "function<｜tool▁sep｜>",
    nameEnd: "\n```json\n",
    argumentsEnd: "\n```",
    keepSpecial: ["<｜tool▁sep｜>"],
    requires: "```json",
  }),
  namedJson({
    name: "solar-open",
    openers: ["<|tool_calls|>", "<|tool_call:begin|>"],
    idStyle: "word",
    sectionStart: "<|tool_calls|>",
    sectionEnd: "<|calls|>",
    callStart: "<|tool_call:begin|>",
    idEnd: "<|tool_call:name|>",
    nameEnd: "<|tool_call:args|>",
    callEnd: "<|tool_call:end|>",
    noise: ["<|content|>", "<|end|>", "<|begin|>assistant", "<|flush|>"],
    keepSpecial: ["<|begin|>", "<|think|>"],
  }),
] as const satisfies readonly NamedJsonFormat[];
