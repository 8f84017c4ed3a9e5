import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ChatCorpus } from "../../../scripts/chat-corpus/corpus.ts";
import { sharedPath } from "../../support/shared.ts";

const folder = sharedPath("templates");
const present = test.skipIf(folder === null);

/** Stands where a string argument does, in outputs and in what is expected of them. */
const VALUES: readonly { name: string; value: string }[] = [
  { name: "as it is", value: "Paris" },
  { name: "with a value that holds tags and brackets", value: "{x} [y] (z), k=v: </x> <tool_call" },
  { name: "with a value of many code points", value: "München–東京 🎉".repeat(40) },
  { name: "with a string that looks like a number", value: "42" },
];

present.each([...VALUES])(
  "every output of the corpus is read as it was meant, in chunks of any size, $name",
  async ({ value }) => {
    const read = (file: string): string => readFileSync(join(folder ?? "", file), "utf8");
    const manifest = read("manifest.json").replaceAll("Paris", value);
    const corpus = new ChatCorpus(JSON.parse(manifest), read);
    const failures: string[] = [];
    let passed = 0;
    for (const entry of corpus.entries) {
      const result = await corpus.run(entry);
      failures.push(...result.failures.map((failure) => `${entry.family}: ${failure}`));
      passed += result.passed;
    }
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(1000);
  },
  30_000,
);
