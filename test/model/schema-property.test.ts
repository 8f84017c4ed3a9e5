import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { makeModel } from "../../scripts/make-model/make-model.ts";
import { schemaGrammar } from "../../src/chat/grammar/schema-grammar.ts";
import { schemaIssues } from "../../src/chat/grammar/schema-issues.ts";
import { SchemaDocument } from "../../src/chat/grammar/schema-source.ts";
import type { Model } from "../../src/llama/backend.ts";
import { loadSmallModel } from "../support/grammar-matcher.ts";
import { GREEDY, SAMPLED, smallContext, writeUnder } from "../support/write-under-grammar.ts";
import { DEMO_MODEL, llamaLibraries } from "../support/llama-libraries.ts";
import { randomSchema } from "../support/random-schema.ts";
import { sharedPath } from "../support/shared.ts";

/** Schemas tried on each model; 0 = few enough for every run of the suite. */
const RUNS = Number(process.env["LMSERVER_SCHEMA_RUNS"] ?? 0);
const FIRST_SEED = Number(process.env["LMSERVER_SCHEMA_SEED"] ?? 1);
/** What is wrong with the answers to `runs` random schemas; each is asked for twice. */
function findFaults(model: Model, runs: number): { faults: string[]; finished: number } {
  const context = smallContext(model);
  const ajv = new Ajv2020({ strict: false, validateFormats: false, ownProperties: true });
  const faults: string[] = [];
  let finished = 0;
  try {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + runs; seed++) {
      const schema = randomSchema(seed);
      const { gbnf, unsupported } = schemaGrammar(schema, "format");
      if (unsupported.length > 0)
        faults.push(`${seed}: not enforced ${JSON.stringify(unsupported)}`);
      const validate = ajv.compile(schema);
      for (const sampling of [GREEDY, { ...SAMPLED, seed }]) {
        const text = writeUnder(model, context, gbnf, sampling);
        if (text === null) continue;
        finished += 1;
        const fault = faultOf(text, schema, validate);
        if (fault !== null) faults.push(`${seed}: ${fault} ${text} ${JSON.stringify(schema)}`);
      }
    }
  } finally {
    context.dispose();
  }
  return { faults, finished };
}

function faultOf(
  text: string,
  schema: unknown,
  validate: { (value: unknown): boolean; errors?: unknown },
): string | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "not JSON";
  }
  if (!validate(value)) return JSON.stringify(validate.errors);
  const issues = schemaIssues(new SchemaDocument(schema, "format"), text);
  return issues?.length === 0 ? null : `our own check differs: ${JSON.stringify(issues)}`;
}

const vocabularies = ["vocab-llama-spm.gguf", "vocab-llama-bpe.gguf", "vocab-qwen2.gguf"];

describe.if(llamaLibraries() !== null)("every finished answer to a random schema is valid", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lmserver-test-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  function expectNoFaults(path: string, runs: number): void {
    const model = loadSmallModel(path);
    try {
      const { faults, finished } = findFaults(model, runs);
      expect(faults).toEqual([]);
      // Most come to an end, or this test shows nothing.
      expect(finished).toBeGreaterThan(runs * 1.6);
    } finally {
      model.dispose();
    }
  }

  test("by the demo model", () => expectNoFaults(DEMO_MODEL, RUNS || 60), 1_200_000);

  test("by random weights over bytes", () => {
    const path = join(folder, "bytes.gguf");
    makeModel({ path, seed: 2 });
    expectNoFaults(path, RUNS || 20);
  }, 1_200_000);

  for (const name of vocabularies) {
    const vocabularyPath = sharedPath(`models/${name}`);
    test.skipIf(vocabularyPath === null)(
      `by random weights over ${name}`,
      () => {
        const path = join(folder, name);
        makeModel({ path, vocabularyPath: vocabularyPath ?? "", seed: 3 });
        expectNoFaults(path, RUNS || 3);
      },
      1_200_000,
    );
  }
});
