import { expect, test } from "bun:test";
import { Value } from "typebox/value";
import { completionFlags } from "../../../src/cli/completion-words.ts";
import { VERBS } from "../../../src/cli/verbs.ts";

test("each word that a shell offers behind a flag is one that the flag takes", async () => {
  const refused: string[] = [];
  const offered: string[] = [];
  for (const verb of VERBS) {
    const { settings } = await verb.load();
    for (const [index, { offer }] of completionFlags(settings).entries()) {
      const setting = Object.values(settings)[index];
      for (const word of offer.words) {
        const text = `${verb.name} --${setting?.flag} ${word}`;
        offered.push(text);
        if (!Value.Check(setting?.schema ?? {}, setting?.read([word]))) refused.push(text);
      }
    }
  }
  expect(refused).toEqual([]);
  expect(offered).toContain("serve --threads auto");
});
