import type { FileHandle } from "node:fs/promises";

const CHUNK_BYTES = 2 ** 20;

/** SHA-256 of a whole file in hexadecimal, read piece by piece between other work. */
export async function sha256Of(handle: FileHandle, signal: AbortSignal): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let at = 0; ;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, at);
    if (bytesRead === 0) return hasher.digest("hex");
    hasher.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}
