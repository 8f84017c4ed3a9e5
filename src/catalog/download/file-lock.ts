import { readFile } from "node:fs/promises";
import { codeOf } from "../failure-words.ts";
import { createFile, removeFile, unusable } from "./target-file.ts";

/** Locks of this process, and what resolves when each is given back. */
const held = new Map<string, Promise<void>>();

/** Whether some work of this process, or another process that is running, has the lock. */
export async function isLocked(path: string): Promise<boolean> {
  return held.has(path) || isOther(await ownerOf(path));
}

/**
 * Keeps two processes, and two jobs of one, from writing one file. Waits for a job of this process;
 * a lock whose process has ended is taken over.
 * @returns what gives the lock back.
 * @throws LmError `invalid_file` while another process has it; the signal's reason.
 */
export async function lockFile(path: string, signal: AbortSignal): Promise<() => Promise<void>> {
  for (let other = held.get(path); other !== undefined; other = held.get(path)) {
    // A signal that is aborted already tells no listener.
    signal.throwIfAborted();
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([other, promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  held.set(path, promise);
  const release = (): void => {
    held.delete(path);
    resolve();
  };
  try {
    await claim(path);
  } catch (error) {
    release();
    throw error;
  }
  return async () => {
    await removeFile(path).finally(release);
  };
}

async function claim(path: string): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const handle = await createFile(path);
      await handle.writeFile(String(process.pid)).finally(() => handle.close());
      return;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const owner = await ownerOf(path);
    if (isOther(owner)) throw taken(path, `process ${owner}`);
    await removeFile(path);
  }
  throw taken(path, "another process");
}

const taken = (path: string, who: string) => unusable(path, `${who} is downloading it`);

/** Process id; 0 when nobody wrote one. */
async function ownerOf(path: string): Promise<number> {
  return Number(await readFile(path, "utf8").catch(() => ""));
}

/** Another process that is running; our own number was an earlier one's. */
const isOther = (owner: number): boolean => owner !== process.pid && isRunning(owner);

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid < 1) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
