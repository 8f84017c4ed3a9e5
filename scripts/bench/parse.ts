import { findFormat } from "../../src/chat/formats/format-table.ts";
import { createParser } from "../../src/chat/parser/parser.ts";

/** Characters per piece, about as many as a token has. */
const CHUNK = 4;
const TEXT = 'a line of text with "quotes" and <tags>\n'.repeat(2500);
const JSON_ARGUMENTS = JSON.stringify({ text: TEXT });

const OUTPUTS: Readonly<Record<string, string>> = {
  hermes: `<tool_call>\n{"name": "write", "arguments": ${JSON_ARGUMENTS}}\n</tool_call>`,
  "mistral-v11": `[TOOL_CALLS]write[ARGS]${JSON_ARGUMENTS}`,
  "qwen3-coder": `<tool_call>\n<function=write>\n<parameter=text>\n${TEXT}\n</parameter>\n</function>\n</tool_call>`,
  "lfm-2": `<|tool_call_start|>[write(text=${JSON.stringify(TEXT)})]<|tool_call_end|>`,
  "gemma-4": `<|tool_call>call:write{text:<|"|>${TEXT}<|"|>}<tool_call|>`,
  harmony: `<|channel|>commentary to=functions.write <|constrain|>json<|message|>${JSON_ARGUMENTS}`,
};

const TOOLS = [
  { name: "write", parameters: { type: "object", properties: { text: { type: "string" } } } },
];

export interface ParseTimes {
  format: string;
  characters: number;
  medianMs: number;
}

/** Reads a call with 100 kB of arguments, a few characters at a time, in each kind of format. */
export function measureParse(rounds: number): ParseTimes[] {
  return Object.entries(OUTPUTS).map(([format, output]) => {
    const times = Array.from({ length: rounds }, () => timeOf(format, output));
    times.sort((a, b) => a - b);
    const medianMs = times[Math.floor(times.length / 2)] ?? Number.NaN;
    return { format, characters: output.length, medianMs };
  });
}

function timeOf(name: string, output: string): number {
  const parser = createParser({
    format: findFormat(name),
    reasoning: null,
    tools: TOOLS,
    parallel: true,
    newId: () => "call_1",
  });
  const start = performance.now();
  for (let at = 0; at < output.length; at += CHUNK) parser.push(output.slice(at, at + CHUNK));
  parser.end(false);
  const took = performance.now() - start;
  if (parser.callCount !== 1 || parser.isCallCut) throw new Error(`${name} was not read`);
  return took;
}
