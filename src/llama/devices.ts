import { defined } from "../lib/assert.ts";
import type { Device } from "./backend.ts";
import type { LlamaLibrary } from "./library.ts";
import { cString } from "./native-text.ts";
import type { NativePointer } from "./native-pointer.ts";

/** `enum ggml_backend_dev_type`. */
const CPU = 0;
const GPU = 1;
const INTEGRATED_GPU = 2;

/** Devices that could compute, the CPU first. */
export function listDevices(library: LlamaLibrary): Device[] {
  const devices = devicePointers(library).map((pointer) => describe(library, pointer));
  return [
    ...devices.filter((device) => !device.isGpu),
    ...devices.filter((device) => device.isGpu),
  ];
}

/** The processor's device: its backend owns the thread pools. */
function cpuDevice(library: LlamaLibrary): NativePointer {
  const { ggmlBase } = library;
  const found = devicePointers(library).find(
    (pointer) => ggmlBase.ggml_backend_dev_type(pointer) === CPU,
  );
  return defined(found, "a loaded llama.cpp has a CPU device");
}

/** The address of a function that only the CPU backend knows, or null. */
export function cpuFunction(library: LlamaLibrary, name: string): NativePointer | null {
  const registry = library.ggmlBase.ggml_backend_dev_backend_reg(cpuDevice(library));
  return library.ggmlBase.ggml_backend_reg_get_proc_address(registry, cString(name));
}

function devicePointers({ ggml }: LlamaLibrary): NativePointer[] {
  const count = Number(ggml.ggml_backend_dev_count());
  return Array.from({ length: count }, (_, index) =>
    defined(ggml.ggml_backend_dev_get(index), "devices are counted"),
  );
}

function describe({ ggmlBase }: LlamaLibrary, pointer: NativePointer): Device {
  const free = new BigUint64Array(1);
  const total = new BigUint64Array(1);
  ggmlBase.ggml_backend_dev_memory(pointer, free, total);
  const type = ggmlBase.ggml_backend_dev_type(pointer);
  return {
    name: String(ggmlBase.ggml_backend_dev_name(pointer)),
    description: String(ggmlBase.ggml_backend_dev_description(pointer)),
    isGpu: type === GPU || type === INTEGRATED_GPU,
    freeBytes: Number(free[0] ?? 0n),
    totalBytes: Number(total[0] ?? 0n),
  };
}
