import { invalidRequest } from "../lib/errors.ts";
import type { Grammar } from "./backend.ts";
import { excludesWideCharacters, grammarProblem, namesTokens } from "./grammar-limits.ts";
import { explain } from "./log-tail.ts";
import type { ModelHost } from "./model-host.ts";
import { NativeHandle } from "./native-handle.ts";
import { cString } from "./native-text.ts";
import { captureStandardError } from "./standard-error.ts";
import type { PieceTree } from "./piece-tree.ts";
import type { NativePointer } from "./native-pointer.ts";

/** What a refused token says about those that begin with it. */
interface Traits {
  /** null when tokens are not judged by their text alone. */
  tree: PieceTree | null;
  /** What refuses the first bytes of a code point refuses all of it. */
  judgesHalves: boolean;
}

/**
 * A grammar sampler of llama.cpp. It throws a C++ exception, which would end the process, when it
 * is made to accept what it does not allow: so every token is asked about first.
 */
export class FfiGrammar implements Grammar {
  readonly #model: ModelHost;
  readonly #releaseModel: () => void;
  readonly #traits: Traits;
  #handle: NativeHandle;

  private constructor(model: ModelHost, pointer: NativePointer, traits: Traits) {
    this.#model = model;
    this.#traits = traits;
    this.#handle = this.#own(pointer);
    this.#releaseModel = model.retain();
  }

  /** @throws LmError invalid_request (invalid_grammar) with the parser's message. */
  static compile(model: ModelHost, gbnf: string): FfiGrammar {
    const refused = grammarProblem(gbnf);
    if (refused !== null) throw invalidGrammar(refused);
    const { llama } = model.library;
    model.log.collect();
    // The parser's own message goes to standard error, not to the log.
    const { result, text } = captureStandardError(() =>
      llama.llama_sampler_init_grammar(model.vocabulary.pointer, cString(gbnf), cString("root")),
    );
    const lines = model.log.collect();
    if (result === null) throw invalidGrammar(parserMessage(text) ?? explain(lines, "not valid"));
    return new FfiGrammar(model, result, {
      tree: namesTokens(gbnf) ? null : model.tree,
      judgesHalves: !excludesWideCharacters(gbnf),
    });
  }

  get isComplete(): boolean {
    const [token] = this.#model.vocabulary.endOfGeneration;
    return token !== undefined && this.allows(token);
  }

  acceptText(text: string): boolean {
    if (text === "") return true;
    const tokens = this.#model.pieces.spell(text);
    if (tokens === null) return false;
    const { llama } = this.#model.library;
    // A refused text must leave the state as it was, so a copy goes ahead.
    const original = this.#handle;
    const copy = this.#own(this.#cloneNative());
    this.#handle = copy;
    for (const token of tokens) {
      if (!this.allows(token)) {
        this.#handle = original;
        copy.dispose();
        return false;
      }
      llama.llama_sampler_accept(copy.pointer, token);
    }
    original.dispose();
    return true;
  }

  clone(): Grammar {
    return new FfiGrammar(this.#model, this.#cloneNative(), this.#traits);
  }

  dispose(): void {
    this.#handle.dispose();
    this.#releaseModel();
  }

  /** Whether the grammar allows this token next. */
  allows(token: number): boolean {
    const { candidates } = this.#model;
    candidates.fillOne(token);
    this.apply();
    return candidates.firstScore !== -Infinity;
  }

  /**
   * Every token that the grammar allows next. Below a token that it refuses it is asked no more:
   * where few may follow this costs a hundredth of asking about the whole vocabulary.
   */
  allowedTokens(): number[] {
    const { candidates, vocabulary } = this.#model;
    const { tree, judgesHalves } = this.#traits;
    if (tree === null) {
      candidates.fillBlank(Array.from({ length: vocabulary.size }, (_, token) => token));
      this.apply();
      return [...candidates.answers()].flatMap(([token, isAllowed]) => (isAllowed ? token : []));
    }
    const allowed: number[] = [];
    let asked: ArrayLike<number> = tree.roots;
    while (asked.length > 0) {
      candidates.fillBlank(asked);
      this.apply();
      const below: number[] = [];
      for (const [token, isAllowed] of candidates.answers()) {
        if (isAllowed) allowed.push(token);
        if (!isAllowed && (judgesHalves || tree.isWhole(token))) continue;
        for (const child of tree.children(token)) below.push(child);
      }
      asked = below;
    }
    return allowed;
  }

  /** Sets the logits of candidates that are not allowed to -Infinity. */
  apply(): void {
    const { library, candidates } = this.#model;
    library.llama.llama_sampler_apply(this.#handle.pointer, candidates.pointer);
  }

  /** Advances by a token that `allows` it. */
  acceptAllowed(token: number): void {
    this.#model.library.llama.llama_sampler_accept(this.#handle.pointer, token);
  }

  /** The same grammar with a new owner; this object counts as disposed. */
  give(): FfiGrammar {
    const given = new FfiGrammar(this.#model, this.#handle.release(), this.#traits);
    this.#releaseModel();
    return given;
  }

  #cloneNative(): NativePointer {
    const pointer = this.#model.library.llama.llama_sampler_clone(this.#handle.pointer);
    if (pointer === null) throw new Error("a grammar sampler could not be copied");
    return pointer;
  }

  #own(pointer: NativePointer): NativeHandle {
    return new NativeHandle("grammar", pointer, this.#model.library.llama.llama_sampler_free);
  }
}

function invalidGrammar(reason: string) {
  return invalidRequest("grammar", "invalid_grammar", `The grammar does not compile: ${reason}`);
}

/** "parse: error parsing grammar: WHY\n\nTHE GRAMMAR": why, with the place but not all of the rest. */
export function parserMessage(text: string): string | null {
  const why = /error parsing grammar: ([^\n]*)/.exec(text)?.[1];
  return why === undefined ? null : why.slice(0, 200);
}
