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

interface Sample {
  name: string;
  output: string;
}

/** Changes of an output that change nothing of what it says; null where there is none to make. */
const CHANGES: Readonly<Record<string, (output: string) => string>> = {
  "a newline before": (output) => `\n${output}`,
  "a space before": (output) => ` ${output}`,
  "newlines behind": (output) => `${output}\n\n`,
  "blank lines before markers": (output) => output.replace(/\n(?=[<{](?!\/parameter))/g, "\n\n"),
  "JSON without spaces": (output) => output.replaceAll('": ', '":').replaceAll(', "', ',"'),
  "JSON on lines": (output) =>
    output.replaceAll('{"city": "Paris", "days": 3}', '{\n  "city": "Paris",\n  "days": 3\n}'),
  "escaped letters": (output) => output.replaceAll('"Paris"', '"\\u0050ari\\u0073"'),
  "an identifier first": (output) =>
    output.replaceAll('{"name": "get_weather"', '{"type": "function", "name": "get_weather"'),
  "arguments as JSON text": (output) =>
    output.replace(
      /"(arguments|parameters)": (\{"city": "Paris", "days": 3\})/g,
      (_, key: string, value: string) => `"${key}": ${JSON.stringify(value)}`,
    ),
};

present(
  "outputs that differ only in what says nothing are read alike",
  async () => {
    const read = (file: string): string => readFileSync(join(folder ?? "", file), "utf8");
    const manifest = JSON.parse(read("manifest.json")) as { entries: { samples: Sample[] }[] };
    for (const entry of manifest.entries) {
      entry.samples = entry.samples.flatMap((sample) =>
        Object.entries(CHANGES)
          .map(([name, change]) => ({
            ...sample,
            name: `${sample.name}, ${name}`,
            output: change(sample.output),
          }))
          .filter(({ output }) => output !== sample.output && output.includes("get_weather")),
      );
    }
    const corpus = new ChatCorpus(manifest, read);
    const failures: string[] = [];
    let passed = 0;
    for (const entry of corpus.entries) {
      const result = await corpus.run(entry);
      failures.push(...result.failures.map((failure) => `${entry.family}: ${failure}`));
      passed += result.passed;
    }
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(5000);
  },
  60_000,
);

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
