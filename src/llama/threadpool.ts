import { cpuFunction } from "./devices.ts";
import type { LlamaLibrary } from "./library.ts";
import { NativeHandle } from "./native-handle.ts";
import type { NativePointer } from "./native-pointer.ts";

/** `struct ggml_threadpool_params`: a mask of 512 bytes, then five small fields. */
const THREADPOOL_PARAMS_SIZE = 528;
/** Offset of `poll`, u32: how long workers look for the next decode before they sleep; 0 = not at all. */
const POLL = 520;

/** Worker threads that stay between decodes. Freed after the context that uses them. */
export class Threadpool {
  readonly #library: LlamaLibrary;
  readonly #handle: NativeHandle;

  private constructor(library: LlamaLibrary, handle: NativeHandle) {
    this.#library = library;
    this.#handle = handle;
  }

  /**
   * @param sleeps workers sleep as soon as a decode is done, where what comes between two decodes, the
   * server's part included, needs their processors; else they wait at full speed for some 200 ms.
   * @returns null when this build's CPU backend has no thread pools: it then starts its own.
   */
  static create(library: LlamaLibrary, threads: number, sleeps: boolean): Threadpool | null {
    const create = cpuFunction(library, "ggml_threadpool_new");
    const free = cpuFunction(library, "ggml_threadpool_free");
    if (create === null || free === null) return null;
    const params = threadpoolParams(library, threads, sleeps);
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

/** The library's own parameters, but for how long workers look for work. See `Threadpool.create`. */
export function threadpoolParams(
  library: LlamaLibrary,
  threads: number,
  sleeps: boolean,
): Uint8Array {
  const params = new Uint8Array(THREADPOOL_PARAMS_SIZE);
  library.ggmlBase.ggml_threadpool_params_init(params, threads);
  if (sleeps) new DataView(params.buffer).setUint32(POLL, 0, true);
  return params;
}
