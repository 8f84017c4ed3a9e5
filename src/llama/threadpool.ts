import { cpuFunction } from "./devices.ts";
import type { LlamaLibrary } from "./library.ts";
import { NativeHandle } from "./native-handle.ts";
import type { NativePointer } from "./native-pointer.ts";

/** `struct ggml_threadpool_params`: a mask of 512 bytes, then five small fields. */
const THREADPOOL_PARAMS_SIZE = 528;

/** Worker threads that stay between decodes. Freed after the context that uses them. */
export class Threadpool {
  readonly #library: LlamaLibrary;
  readonly #handle: NativeHandle;

  private constructor(library: LlamaLibrary, handle: NativeHandle) {
    this.#library = library;
    this.#handle = handle;
  }

  /** @returns null when this build's CPU backend has no thread pools: it then starts its own. */
  static create(library: LlamaLibrary, threads: number): Threadpool | null {
    const create = cpuFunction(library, "ggml_threadpool_new");
    const free = cpuFunction(library, "ggml_threadpool_free");
    if (create === null || free === null) return null;
    const params = new Uint8Array(THREADPOOL_PARAMS_SIZE);
    library.ggmlBase.ggml_threadpool_params_init(params, threads);
    const pointer = library.shim.lm_create_threadpool(create, params);
    if (pointer === null) return null;
    const dispose = (pool: NativePointer) => library.shim.lm_free_threadpool(free, pool);
    return new Threadpool(library, new NativeHandle("threadpool", pointer, dispose));
  }

  attach(context: NativePointer): void {
    const { pointer } = this.#handle;
    this.#library.llama.llama_attach_threadpool(context, pointer, pointer);
  }

  dispose(): void {
    this.#handle.dispose();
  }
}
