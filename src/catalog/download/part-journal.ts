import { readFile, rename } from "node:fs/promises";
import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import { createFile, removeFile, type TargetFile } from "./target-file.ts";

const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const Part = Type.Object({
  start: Bytes,
  /** Exclusive. */
  end: Bytes,
  /** Bytes from `start` that are on disk. */
  done: Bytes,
});

const Journal = Type.Object({
  version: Type.Literal(1),
  /** Without query: signed URLs change, and are secret. */
  url: Type.String(),
  sizeBytes: Bytes,
  sha256: Type.Union([Type.String(), Type.Null()]),
  etag: Type.Union([Type.String(), Type.Null()]),
  parts: Type.Array(Part, { maxItems: 100_000 }),
});

export type Part = Static<typeof Part>;

/** Which bytes of a `.part` file are real. Written after the bytes, so it never promises too much. */
export type Journal = Static<typeof Journal>;

/** Cuts a file into ranges of equal size, the last one shorter. */
export function planParts(sizeBytes: number, partBytes: number): Part[] {
  const count = Math.max(1, Math.ceil(sizeBytes / partBytes));
  return Array.from({ length: count }, (_, index) => ({
    start: index * partBytes,
    end: Math.min(sizeBytes, (index + 1) * partBytes),
    done: 0,
  }));
}

export const doneBytes = ({ parts }: Journal): number =>
  parts.reduce((sum, { done }) => sum + done, 0);

/** The journal of a file; null when absent, broken or of something else. */
export async function readJournal(
  target: TargetFile,
  expected: Pick<Journal, "url" | "sizeBytes" | "sha256">,
): Promise<Journal | null> {
  const journal = parse(await readFile(target.journal, "utf8").catch(() => ""));
  if (!Value.Check(Journal, journal) || !isWhole(journal)) return null;
  const isSame =
    journal.url === expected.url &&
    journal.sizeBytes === expected.sizeBytes &&
    journal.sha256 === expected.sha256;
  return isSame ? journal : null;
}

/** Written beside, synced, then renamed: a reader sees the old one or the new one. */
export async function writeJournal(target: TargetFile, journal: Journal): Promise<void> {
  const temporary = `${target.journal}.new`;
  await removeFile(temporary);
  const handle = await createFile(temporary);
  try {
    await handle.writeFile(JSON.stringify(journal));
    await handle.datasync();
  } catch (error) {
    await handle.close();
    await removeFile(temporary);
    throw error;
  }
  await handle.close();
  await rename(temporary, target.journal);
}

/** The parts cover the file without gap or overlap. */
function isWhole({ parts, sizeBytes }: Journal): boolean {
  let at = 0;
  for (const { start, end, done } of parts) {
    if (start !== at || end < start || done > end - start) return false;
    at = end;
  }
  return at === sizeBytes;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
