/**
 * Time to read a call with 100 kB of arguments and to render a chat, the template's thread included:
 * `bun scripts/bench/chat.ts [--messages 50] [--rounds 20] [FILE.jinja ...]`, without files for
 * ChatML.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { CHATML_TEMPLATE } from "../../src/chat/chat-templates.ts";
import { measureParse } from "./parse.ts";
import { measureRender } from "./render.ts";

const { values, positionals } = parseArgs({
  options: {
    messages: { type: "string", default: "50" },
    rounds: { type: "string", default: "20" },
  },
  allowPositionals: true,
});

for (const { format, characters, medianMs } of measureParse(Number(values.rounds))) {
  console.log(`parse ${format}: ${characters} characters, median ${medianMs.toFixed(1)} ms`);
}

const sources = positionals.map((path) => [basename(path), readFileSync(path, "utf8")] as const);
const all = sources.length > 0 ? sources : [["ChatML", CHATML_TEMPLATE] as const];
for (const [name, source] of all) {
  const { messages, medianMs, p95Ms } = await measureRender(source, Number(values.messages));
  const times = `median ${medianMs.toFixed(2)} ms, p95 ${p95Ms.toFixed(2)} ms`;
  console.log(`render ${name}: ${messages} messages, ${times}`);
}
