import { assert } from "../../src/lib/assert.ts";
import type { Vocabulary } from "../../src/llama/backend.ts";

const SPECIALS = [
  "<s>",
  "</s>",
  "<|im_start|>",
  "<|im_end|>",
  "<|fim_prefix|>",
  "<|fim_suffix|>",
  "<|fim_middle|>",
  "<tool_call>",
  "</tool_call>",
  "<think>",
  "</think>",
] as const;

const id = (text: (typeof SPECIALS)[number]): number => 256 + SPECIALS.indexOf(text);

/** Ids of the fake vocabulary: 0..255 are bytes, control tokens follow. */
export const FakeToken = {
  bos: id("<s>"),
  eos: id("</s>"),
  imStart: id("<|im_start|>"),
  imEnd: id("<|im_end|>"),
  toolCall: id("<tool_call>"),
  toolCallEnd: id("</tool_call>"),
  think: id("<think>"),
  thinkEnd: id("</think>"),
} as const;

/** One token per byte, and a few control tokens. BOS is added on request; there is no EOS added. */
export class FakeVocabulary implements Vocabulary {
  readonly size: number = 256 + SPECIALS.length;
  readonly bos = FakeToken.bos;
  readonly eos = FakeToken.eos;
  readonly addsBos = true;
  readonly infill = {
    prefix: id("<|fim_prefix|>"),
    suffix: id("<|fim_suffix|>"),
    middle: id("<|fim_middle|>"),
  };
  readonly endOfGeneration: readonly number[] = [FakeToken.eos, FakeToken.imEnd];
  readonly #pieces: readonly Uint8Array[];
  readonly #none = new Uint8Array(0);

  constructor() {
    const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
    this.#pieces = [...bytes, ...SPECIALS.map((text) => new TextEncoder().encode(text))];
  }

  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array {
    const tokens: number[] = addSpecial ? [this.bos] : [];
    const parts = parseSpecial ? text.split(/(<[^<>]*>|<\/[^<>]*>)/) : [text];
    for (const part of parts) {
      const special = parseSpecial ? (SPECIALS as readonly string[]).indexOf(part) : -1;
      if (special >= 0) tokens.push(256 + special);
      else tokens.push(...Buffer.from(part, "utf8"));
    }
    return Int32Array.from(tokens);
  }

  piece(token: number, special: boolean): Uint8Array {
    const piece = this.#pieces[token];
    assert(piece !== undefined, `token ${token} is outside the vocabulary`);
    return this.isControl(token) && !special ? this.#none : piece;
  }

  isEndOfGeneration(token: number): boolean {
    return this.endOfGeneration.includes(token);
  }

  isControl(token: number): boolean {
    return token >= 256;
  }
}
