import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import type { Tool } from "../../src/chat/conversation.ts";
import type { ToolFormat } from "../../src/chat/formats/format.ts";
import { TOOL_FORMATS } from "../../src/chat/formats/format-table.ts";
import { planGrammar } from "../../src/chat/grammar/plan-grammar.ts";
import { createParser } from "../../src/chat/parser/parser.ts";
import type { Model, ModelContext } from "../../src/llama/backend.ts";
import { defined } from "../../src/lib/assert.ts";
import { loadSmallModel } from "../support/grammar-matcher.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";
import { randomSchema } from "../support/random-schema.ts";
import { SAMPLED, smallContext, writeUnder } from "../support/write-under-grammar.ts";

/** Tools tried in each format; 0 = few enough for every run of the suite. */
const RUNS = Number(process.env["LMSERVER_SCHEMA_RUNS"] ?? 0) || 3;

/** A tool whose arguments are random, but for one that is always asked for. */
function randomTool(seed: number): Tool {
  const schemas = [1, 2, 3].map((index) => randomSchema(seed * 7 + index));
  const simple = schemas.map((schema) => ("$defs" in schema ? { type: "boolean" } : schema));
  return {
    name: `tool_${seed}`,
    description: null,
    strict: false,
    parameters: {
      type: "object",
      properties: {
        text: { type: "string", maxLength: 12 },
        maybe: { type: ["string", "null", "integer"], maxLength: 5, maximum: 99 },
        a: simple[0],
        b: simple[1],
        c: simple[2],
      },
      required: ["text", "a"],
    },
  };
}

/** A tool with arguments that are not declared, of a type of their own. */
function openTool(seed: number): Tool {
  const types = ["string", "integer", "boolean", ["string", "null"], ["number", "array"]];
  const type = types[seed % types.length];
  return {
    name: `open_${seed}`,
    description: null,
    strict: false,
    parameters: {
      type: "object",
      properties: { id: { type: "integer" } },
      required: ["id"],
      additionalProperties: { type, maxLength: 9, maxItems: 2 },
      maxProperties: 4,
    },
  };
}

interface Call {
  name: string;
  json: string;
}

function callsIn(format: ToolFormat, tools: readonly Tool[], text: string): Call[] {
  const parser = createParser({
    format,
    reasoning: null,
    tools,
    parallel: true,
    newId: () => "id",
  });
  const calls: Call[] = [];
  for (const event of [...parser.push(text), ...parser.end(false)]) {
    if (event.type === "toolCall") calls.push({ name: event.name, json: "" });
    else if (event.type === "toolArguments")
      defined(calls[event.index], "a call").json += event.text;
  }
  return calls;
}

describe.if(llamaLibraries() !== null)(
  "what the grammar makes a model write, the parser reads",
  () => {
    let folder: string;
    let model: Model;
    let context: ModelContext;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
      const path = join(folder, "bytes.gguf");
      makeModel({ path, seed: 4 });
      model = loadSmallModel(path);
      context = smallContext(model);
    });
    afterAll(() => {
      context.dispose();
      model.dispose();
      rmSync(folder, { recursive: true });
    });

    test.each(TOOL_FORMATS.map((format) => [format.name, format] as const))(
      "as valid arguments of an offered tool: %s",
      (_, format) => {
        const ajv = new Ajv2020({ strict: false, validateFormats: false, ownProperties: true });
        const faults: string[] = [];
        let finished = 0;
        for (let seed = 1; seed <= RUNS; seed++) {
          // That the tags of a free element have one name is left to the model.
          const isOpen = seed % 2 === 0 && format.kind !== "elements";
          const tool = isOpen ? openTool(seed / 2) : randomTool(seed);
          const plan = planGrammar({
            format,
            tools: [tool],
            choice: { kind: "named", name: tool.name },
            parallel: false,
            answerFormat: { kind: "text" },
            reasoning: null,
          });
          const { gbnf } = defined(plan.grammar, "a grammar");
          const text = writeUnder(model, context, gbnf, { ...SAMPLED, seed });
          // llama.cpp lets overlong encodings pass as one character, which they are not.
          if (text === null || text.includes("\ufffd")) continue;
          finished += 1;
          const [call, ...others] = callsIn(format, [tool], text);
          const validate = ajv.compile(tool.parameters ?? {});
          const valid =
            call?.name === tool.name && others.length === 0 && validate(parsed(call.json));
          if (!valid) {
            faults.push(
              `${seed}: ${text}\n  ${call?.json}\n  ${JSON.stringify(validate.errors)} ${JSON.stringify(tool.parameters)}`,
            );
          }
        }
        expect(faults).toEqual([]);
        expect(finished).toBeGreaterThan(RUNS / 3);
      },
      1_200_000,
    );
  },
);

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
