import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ChatCorpus } from "../../../scripts/chat-corpus/corpus.ts";
import { sharedPath } from "../../support/shared.ts";

const folder = sharedPath("templates");
const present = test.skipIf(folder === null);

present("every output of the corpus is read as it was meant, in chunks of any size", async () => {
  const read = (file: string): string => readFileSync(join(folder ?? "", file), "utf8");
  const corpus = new ChatCorpus(JSON.parse(read("manifest.json")), read);
  const failures: string[] = [];
  let passed = 0;
  for (const entry of corpus.entries) {
    const result = await corpus.run(entry);
    failures.push(...result.failures.map((failure) => `${entry.family}: ${failure}`));
    passed += result.passed;
  }
  expect(failures).toEqual([]);
  expect(passed).toBeGreaterThan(1000);
});
