import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ChatCorpus } from "./chat-corpus/corpus.ts";

/**
 * Runs every sample of a corpus through detection and parser, whole and in chunks, streaming and
 * not. Usage: `bun scripts/chat-corpus.ts DIR [TEMPLATES]`. DIR holds `manifest.json`; its templates
 * lie there too, or in TEMPLATES, or else in the reference data beside the repository.
 */
const [folder, templates] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: bun scripts/chat-corpus.ts DIR [TEMPLATES]");
  process.exit(2);
}

const SHARED = process.env["LMSERVER_SHARED"] ?? resolve(import.meta.dir, "../../shared");
const places = [folder, ...(templates === undefined ? [] : [templates]), join(SHARED, "templates")];

function readTemplate(file: string): string {
  const found = places.map((place) => join(place, file)).find((path) => existsSync(path));
  return readFileSync(found ?? join(folder ?? "", file), "utf8");
}

const manifest: unknown = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
const corpus = new ChatCorpus(manifest, readTemplate);
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
