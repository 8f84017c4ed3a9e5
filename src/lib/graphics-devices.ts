import { existsSync, readdirSync } from "node:fs";

/** Device files of GPU drivers that are not below /dev/dri: NVIDIA, AMD's compute, WSL, Adreno, Mali. */
const DEVICES = ["nvidiactl", "kfd", "dxg", "kgsl-3d0", "mali0"];

/** Whether this machine shows a device that may compute, or hold weights outside of main memory. */
export function mayHaveGpu(): boolean {
  if (process.platform !== "linux") return true;
  if (DEVICES.some((name) => existsSync(`/dev/${name}`))) return true;
  return (
    existsSync("/dev/dri") && readdirSync("/dev/dri").some((name) => name.startsWith("renderD"))
  );
}
