import type { CatalogModel } from "../catalog/model.ts";
import { assert } from "../lib/assert.ts";
import { LmError } from "../lib/errors.ts";
import type { EmbedInput, GenerateJob, JobPrompt } from "../protocol/commands.ts";
import type { JobEvent, LoadedModelInfo } from "../protocol/events.ts";
import type { NewJob } from "./engine-jobs.ts";
import type { EngineProcess } from "./engine-process.ts";
import type { Embeddings, Lease } from "./pool.ts";

export interface LeaseOptions {
  identifier: string;
  model: CatalogModel;
  info: LoadedModelInfo;
  engine: EngineProcess;
  onRelease: () => void;
}

/** The right to use the engine that was ready when the lease was given, and no later one. */
export class EngineLease implements Lease {
  readonly identifier: string;
  readonly model: CatalogModel;
  readonly info: LoadedModelInfo;
  readonly #options: LeaseOptions;
  #isReleased = false;

  constructor(options: LeaseOptions) {
    this.identifier = options.identifier;
    this.model = options.model;
    this.info = options.info;
    this.#options = options;
  }

  generate(job: GenerateJob, signal: AbortSignal): AsyncGenerator<JobEvent, void, void> {
    return this.#run({ type: "generate", job }, signal);
  }

  async embed(inputs: readonly EmbedInput[], signal: AbortSignal): Promise<Embeddings> {
    const event = await this.#answer({ type: "embed", inputs: [...inputs] }, "embedded", signal);
    return { vectors: event.vectors.map(decodeVector), tokens: event.tokens };
  }

  async tokenize(prompt: JobPrompt, signal: AbortSignal): Promise<readonly number[]> {
    const event = await this.#answer({ type: "tokenize", prompt }, "tokenized", signal);
    return event.tokens;
  }

  release(): void {
    assert(!this.#isReleased, "a lease is released once");
    this.#isReleased = true;
    this.#options.onRelease();
  }

  #run(command: NewJob, signal: AbortSignal): AsyncGenerator<JobEvent, void, void> {
    assert(!this.#isReleased, "a released lease runs no jobs");
    return this.#options.engine.run(command, signal);
  }

  async #answer<Type extends JobEvent["type"]>(
    command: NewJob,
    type: Type,
    signal: AbortSignal,
  ): Promise<Extract<JobEvent, { type: Type }>> {
    for await (const event of this.#run(command, signal)) {
      if (event.type === type) return event as Extract<JobEvent, { type: Type }>;
    }
    throw new LmError("internal", {}, "The engine ended a job without its answer.");
  }
}

/** Little-endian float32 values as base64, copied to their own aligned memory. */
function decodeVector(base64: string): Float32Array {
  const bytes = Uint8Array.fromBase64(base64);
  return new Float32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 4));
}
