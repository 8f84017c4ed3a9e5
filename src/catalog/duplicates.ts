import { open } from "node:fs/promises";
import type { ModelDraft } from "./describe-model.ts";

/** Both ends of a file: the header with its names and vocabulary, and the last weights. */
const SAMPLE_BYTES = 2 ** 20;

/**
 * Lists a model once that several stores hold. Copies are told by equal size and file count, and
 * then by the same inode or equal first and last mebibyte: two models of one shape differ in their
 * last weights. What lies in the user's own folders is always listed, also twice; of foreign copies
 * the first store's stays, and the others become its `copies`.
 */
export class Duplicates {
  /** Digests by path, size and time. */
  #known = new Map<string, string>();

  async merge(
    drafts: readonly ModelDraft[],
    inodes: ReadonlyMap<string, number>,
  ): Promise<ModelDraft[]> {
    const kept: ModelDraft[] = [];
    const digests = new Map<string, string>();
    const groups = Map.groupBy(drafts, (draft) => `${draft.sizeBytes} ${draft.files.length}`);
    for (const group of groups.values()) {
      const isAlone = group.length === 1 || group.every((draft) => draft.source === "models-dir");
      kept.push(...(isAlone ? group : await this.#mergeGroup(group, inodes, digests)));
    }
    this.#known = digests;
    return kept;
  }

  async #mergeGroup(
    group: readonly ModelDraft[],
    inodes: ReadonlyMap<string, number>,
    digests: Map<string, string>,
  ): Promise<ModelDraft[]> {
    const kept: { draft: ModelDraft; copies: string[] }[] = [];
    for (const draft of group.toSorted((a, b) => rank(a) - rank(b))) {
      const isForeign = draft.source !== "models-dir" && draft.source !== "demo";
      const inode = inodes.get(draft.path);
      const digest = await this.#digest(draft, digests);
      const original = kept.find(
        (other) =>
          (inode !== undefined && inode === inodes.get(other.draft.path)) ||
          (digest !== null && digest === digests.get(keyOf(other.draft))),
      );
      if (isForeign && original !== undefined) original.copies.push(draft.path);
      else kept.push({ draft, copies: [] });
    }
    return kept.map(({ draft, copies }) => (copies.length === 0 ? draft : { ...draft, copies }));
  }

  async #digest(draft: ModelDraft, digests: Map<string, string>): Promise<string | null> {
    const key = keyOf(draft);
    const digest = this.#known.get(key) ?? (await sampleDigest(draft.path));
    if (digest !== null) digests.set(key, digest);
    return digest;
  }
}

const keyOf = ({ path, sizeBytes, modifiedMs }: ModelDraft): string =>
  `${path}\0${sizeBytes}\0${modifiedMs}`;

const ORDER: readonly ModelDraft["source"][] = [
  "models-dir",
  "demo",
  "lm-studio",
  "hugging-face",
  "ollama",
  "llama.cpp",
];

const rank = ({ source }: ModelDraft): number => ORDER.indexOf(source);

async function sampleDigest(path: string): Promise<string | null> {
  const handle = await open(path, "r").catch(() => null);
  if (handle === null) return null;
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(2 * SAMPLE_BYTES);
    const head = await handle.read(buffer, 0, SAMPLE_BYTES, 0);
    const at = Math.max(0, size - SAMPLE_BYTES);
    const tail = await handle.read(buffer, head.bytesRead, SAMPLE_BYTES, at);
    const sample = buffer.subarray(0, head.bytesRead + tail.bytesRead);
    return new Bun.CryptoHasher("sha256").update(sample).digest("hex");
  } catch {
    // Unreadable now: it counts as different from all others.
    return null;
  } finally {
    await handle.close();
  }
}
