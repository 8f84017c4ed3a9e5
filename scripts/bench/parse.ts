/**
 * Time to read a call with 100 kB of arguments, four characters at a time:
 * `bun scripts/bench/parse.ts [--rounds N]`.
 */
import { parseArgs } from "node:util";
import { findFormat } from "../../src/chat/formats/format-table.ts";
import { createParser } from "../../src/chat/parser/parser.ts";

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

const { values } = parseArgs({ options: { rounds: { type: "string", default: "20" } } });

for (const [name, output] of Object.entries(OUTPUTS)) {
  const times = Array.from({ length: Number(values.rounds) }, () => timeOf(name, output));
  times.sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  console.log(`${name}: ${output.length} characters, median ${median.toFixed(1)} ms`);
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
