import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { PrefixTree } from "../../../src/engine/prefix-tree.ts";

const common = (a: readonly number[], b: readonly number[]): number => {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
};

const sequence = fc.array(fc.nat(2), { minLength: 1, maxLength: 8 });
const action = fc.record({ kind: fc.constantFrom("set", "set", "delete"), tokens: sequence });

test("the tree knows what a list of sequences knows, whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), fc.array(sequence), (actions, queries) => {
      const tree = new PrefixTree<string>();
      const list = new Map<string, number[]>();
      for (const { kind, tokens } of actions) {
        const key = tokens.join();
        if (kind === "set") {
          tree.set(Int32Array.from(tokens), key);
          list.set(key, tokens);
        } else {
          expect(tree.delete(Int32Array.from(tokens))).toBe(list.delete(key));
        }
      }
      const all = [...list.values()];
      expect(tree.size).toBe(all.length);
      for (const query of [...queries, ...all]) {
        const tokens = Int32Array.from(query);
        const limit = Math.max(1, query.length - 1);
        const cut = query.slice(0, limit);
        const longest = Math.max(0, ...all.map((each) => common(each, cut)));
        const found = tree.longest(tokens, limit);
        expect(found?.length ?? 0).toBe(longest);
        const value = found === null ? cut : (list.get(found.value) ?? []);
        expect(common(value, cut)).toBe(found === null ? cut.length : longest);
        const isBeginning = (each: readonly number[]): boolean => common(each, cut) === each.length;
        const prefixes = all.filter(isBeginning).map((each) => each.length);
        const told = tree.prefixesOf(tokens, limit).map(({ length }) => length);
        expect(told).toEqual(prefixes.toSorted((a, b) => a - b));
        expect(tree.longestWhole(tokens, limit)?.length ?? 0).toBe(Math.max(0, ...prefixes));
        if (found !== null)
          expect(found.isEnd).toBe(
            all.some((each) => each.join() === cut.slice(0, longest).join()),
          );
        expect(tree.get(tokens)).toBe(list.has(query.join()) ? query.join() : null);
        const isLonger = (each: readonly number[]): boolean =>
          each.length > query.length && common(each, query) === query.length;
        expect(tree.continues(tokens)).toBe(all.some(isLonger));
      }
      // Shared tokens count once: as many as there are different beginnings.
      const beginnings = new Set(
        all.flatMap((each) => each.map((_, i) => each.slice(0, i + 1).join())),
      );
      expect(tree.tokens).toBe(beginnings.size);
      expect(tree.nodes).toBeLessThanOrEqual(Math.max(0, 2 * all.length - 1));
    }),
    { seed: 20_261_128, numRuns: 300 },
  );
});
