import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ChatCorpus } from "./chat-corpus/corpus.ts";

/**
 * Runs every sample of a corpus through detection and parser, whole and in chunks, streaming and
 * not. Usage: `bun scripts/chat-corpus.ts DIR`, where DIR holds `manifest.json` and its templates.
 */
const folder = process.argv[2];
if (folder === undefined) {
  console.error("usage: bun scripts/chat-corpus.ts DIR");
  process.exit(2);
}

const manifest: unknown = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
const corpus = new ChatCorpus(manifest, (file) => readFileSync(join(folder, file), "utf8"));
let passed = 0;
let failed = 0;
for (const entry of corpus.entries) {
  const result = await corpus.run(entry);
  passed += result.passed;
  failed += result.failures.length;
  const verdict = result.failures.length === 0 ? "ok" : "FAILED";
  console.log(`${verdict} ${entry.family}: ${result.format}, ${result.passed} passed`);
  for (const failure of result.failures) console.log(`  ${failure}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
