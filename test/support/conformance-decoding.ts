import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../src/lib/assert.ts";
import { addTokens, largestDifference, logitsOf } from "./backend-driver.ts";
import { type ConformanceHost, OTHER, PROMPT } from "./conformance-host.ts";

/** What a backend promises of decoding and of its sequences. */
export function decodingPromises(host: ConformanceHost): void {
  describe("decoding", () => {
    test("logits are the same alone, in a shared batch and in chunks", () => {
      host.withContext((context) => {
        const [tokens, others] = [host.tokenize(PROMPT), host.tokenize(OTHER)];
        const alone = logitsOf(context, tokens, 0);
        context.batch.clear();
        addTokens(context, others, 1);
        const row = addTokens(context, tokens, 2);
        expect(context.decode()).toBe("ok");
        const shared = context.logits(row).slice();
        logitsOf(context, tokens.subarray(0, 3), 3);
        const chunked = logitsOf(context, tokens.subarray(3), 3, 3);
        expect(largestDifference(alone, shared)).toBeLessThanOrEqual(host.tolerance);
        expect(largestDifference(alone, chunked)).toBeLessThanOrEqual(host.tolerance);
        expect(alone).toHaveLength(host.model.vocabulary.size);
      });
    });

    test("a copied sequence continues as its original", () => {
      host.withContext((context) => {
        const tokens = host.tokenize(PROMPT);
        logitsOf(context, tokens, 0);
        context.copySequence(0, 1, tokens.length);
        expect(context.lastPosition(1)).toBe(tokens.length - 1);
        const next = host.tokenize("!");
        const original = logitsOf(context, next, 0, tokens.length);
        const copy = logitsOf(context, next, 1, tokens.length);
        expect(largestDifference(original, copy)).toBeLessThanOrEqual(host.tolerance);
      });
    });

    test("a copied beginning continues as if it had been computed", () => {
      host.withContext((context) => {
        const tokens = host.tokenize(PROMPT);
        logitsOf(context, tokens, 0);
        context.copySequence(0, 1, 4);
        expect(context.lastPosition(1)).toBe(3);
        const copied = logitsOf(context, host.tokenize(OTHER), 1, 4);
        logitsOf(context, tokens.subarray(0, 4), 2);
        const fresh = logitsOf(context, host.tokenize(OTHER), 2, 4);
        expect(largestDifference(copied, fresh)).toBeLessThanOrEqual(host.tolerance);
      });
    });

    test("a sequence cut back continues as if the rest had never been", () => {
      host.withContext((context) => {
        const tokens = host.tokenize(PROMPT);
        const fresh = logitsOf(context, tokens, 0);
        logitsOf(context, [...tokens.subarray(0, 5), ...host.tokenize(OTHER)], 1);
        expect(context.removeSequence(1, 5, -1)).toBe(true);
        expect(context.lastPosition(1)).toBe(4);
        const again = logitsOf(context, tokens.subarray(5), 1, 5);
        expect(largestDifference(fresh, again)).toBeLessThanOrEqual(host.tolerance);
      });
    });

    test("an empty sequence has no last position", () => {
      host.withContext((context) => {
        expect(context.lastPosition(0)).toBe(-1);
        logitsOf(context, host.tokenize(PROMPT), 0);
        expect(context.removeSequence(0, 0, -1)).toBe(true);
        expect(context.lastPosition(0)).toBe(-1);
      });
    });

    test("a full cache answers full, changes nothing, and takes tokens again once freed", () => {
      host.withContext((context) => {
        const [token] = host.tokenize("a");
        const fill = Array.from({ length: context.contextLength - 2 }, () => token!);
        logitsOf(context, fill.slice(0, 200), 0);
        logitsOf(context, fill.slice(200), 1);
        context.batch.clear();
        addTokens(context, [token!, token!, token!], 2);
        expect(context.decode()).toBe("full");
        expect([0, 1, 2].map((sequence) => context.lastPosition(sequence))).toEqual([
          199,
          context.contextLength - 203,
          -1,
        ]);
        context.removeSequence(1, 0, -1);
        expect(context.decode()).toBe("ok");
        expect(context.lastPosition(2)).toBe(2);
      });
    });

    test("a saved sequence continues in another context as in its own", () => {
      host.withContext((context) => {
        const tokens = host.tokenize(PROMPT);
        logitsOf(context, tokens, 0);
        const state = context.saveSequence(0).slice();
        const next = host.tokenize("!");
        const expected = logitsOf(context, next, 0, tokens.length);
        host.withContext((other) => {
          expect(other.restoreSequence(3, state)).toBe(true);
          expect(other.lastPosition(3)).toBe(tokens.length - 1);
          const found = logitsOf(other, next, 3, tokens.length);
          expect(largestDifference(expected, found)).toBeLessThanOrEqual(host.tolerance);
        });
      });
    });

    test("a sequence saved in pieces is put together again and cut where it is needed", () => {
      host.withContext((context) => {
        const tokens = host.tokenize(PROMPT);
        const middle = Math.floor(tokens.length / 2);
        const next = host.tokenize("!");
        logitsOf(context, tokens, 0);
        const ranges = [
          [0, middle],
          [middle, tokens.length],
        ] as const;
        const states = ranges.map(([start, end]) => context.saveRange(0, start, end, 1).slice());
        const whole = logitsOf(context, next, 0, tokens.length);
        context.removeSequence(0, 0, -1);
        logitsOf(context, tokens.slice(0, middle + 1), 0);
        const cut = logitsOf(context, next, 0, middle + 1);
        host.withContext((other) => {
          // Cells of another sequence lie between.
          logitsOf(other, tokens, 0);
          const restore = (index: number): boolean => {
            const [start, end] = ranges[index] ?? [0, 0];
            return other.restoreRange(3, end - start, states[index] ?? new Uint8Array(0), 2);
          };
          expect([restore(0), other.lastPosition(3)]).toEqual([true, middle - 1]);
          other.removeSequence(0, 0, -1);
          expect([restore(1), other.lastPosition(3)]).toEqual([true, tokens.length - 1]);
          expect(other.lastPosition(2)).toBe(-1);
          const found = logitsOf(other, next, 3, tokens.length);
          expect(largestDifference(whole, found)).toBeLessThanOrEqual(host.tolerance);
          expect(other.removeSequence(3, middle + 1, -1)).toBe(true);
          const again = logitsOf(other, next, 3, middle + 1);
          expect(largestDifference(cut, again)).toBeLessThanOrEqual(host.tolerance);
        });
      });
    });

    test("a piece that was cut short or belongs elsewhere changes nothing", () => {
      host.withContext((context) => {
        const tokens = host.tokenize(PROMPT);
        logitsOf(context, tokens, 0);
        const state = context.saveRange(0, 0, 4, 1).slice();
        for (const broken of [new Uint8Array(0), state.slice(0, 3), state.slice(0, -1)]) {
          expect(context.restoreRange(2, 4, broken, 1)).toBe(false);
        }
        expect(context.restoreRange(2, 5, state, 1)).toBe(false);
        expect([context.lastPosition(1), context.lastPosition(2)]).toEqual([-1, -1]);
      });
    });

    test("a state that was cut short is refused and leaves the sequence empty", () => {
      host.withContext((context) => {
        logitsOf(context, host.tokenize(PROMPT), 0);
        const state = context.saveSequence(0).slice();
        for (const broken of [new Uint8Array(0), state.slice(0, 3), state.slice(0, -1)]) {
          expect(context.restoreSequence(1, broken)).toBe(false);
          expect(context.lastPosition(1)).toBe(-1);
        }
      });
    });

    test("what lies outside the context's limits is an assertion", () => {
      host.withContext((context) => {
        const { batch } = context;
        expect(() => batch.add(host.model.vocabulary.size, 0, 0, true)).toThrow(AssertionError);
        expect(() => batch.add(0, 0, context.sequences, true)).toThrow(AssertionError);
        batch.clear();
        for (let row = 0; row < batch.capacity; row++) batch.add(0, row, 0, false);
        expect(() => batch.add(0, batch.capacity, 0, false)).toThrow(AssertionError);
        batch.clear();
        expect(() => context.decode()).toThrow(AssertionError);
        batch.add(0, 0, 0, false);
        context.decode();
        expect(() => context.logits(0)).toThrow(AssertionError);
        expect(() => context.setThreads(0)).toThrow(AssertionError);
        expect(() => context.setThreads(1000)).toThrow(AssertionError);
        context.setThreads(1);
      });
    });
  });
}
