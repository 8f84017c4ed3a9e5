import { readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { sep } from "node:path";
import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import type { DownloadPlan, PlannedFile } from "./plan-download.ts";
import { isSafeSegment } from "./model-source.ts";
import { createFile, removeFile, targetFile } from "./target-file.ts";

const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const orNull = <T extends Parameters<typeof Type.Array>[0]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

const FileRecord = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 1_024 }),
  url: Type.String({ maxLength: 4_096 }),
  sizeBytes: Bytes,
  sha256: orNull(Type.String({ pattern: "^[0-9a-f]{64}$" })),
});

const JobRecord = Type.Object({
  id: Type.String({ pattern: "^job_[0-9a-f]{10}$" }),
  state: Type.Union([
    Type.Literal("queued"),
    Type.Literal("downloading"),
    Type.Literal("paused"),
    Type.Literal("completed"),
    Type.Literal("failed"),
  ]),
  owner: orNull(Type.String()),
  source: Type.String(),
  quantization: orNull(Type.String()),
  folder: Type.String(),
  files: Type.Array(FileRecord, { minItems: 1, maxItems: 10_000 }),
  /** Names of those that the job itself brought; absent in records of older versions. */
  fetched: Type.Optional(Type.Array(Type.String({ maxLength: 1_024 }), { maxItems: 10_000 })),
  startedMs: Type.Number(),
  endedMs: orNull(Type.Number()),
  failure: orNull(Type.String()),
});
/** One job as it outlives its process. */
export type JobRecord = Static<typeof JobRecord>;

const Records = Type.Object({
  version: Type.Literal(1),
  jobs: Type.Array(JobRecord, { maxItems: 10_000 }),
});

/** A plan as a record keeps it; null for one whose URLs hold a query, which may be secret. */
export function planRecord(
  plan: DownloadPlan,
): Pick<JobRecord, "source" | "quantization" | "folder" | "files"> | null {
  if (plan.files.some(({ url }) => url.search !== "")) return null;
  const { source, quantization, folder } = plan;
  const files = plan.files.map(({ name, url, sizeBytes, sha256 }) => ({
    name,
    url: url.href,
    sizeBytes,
    sha256,
  }));
  return { source, quantization, folder, files };
}

/** The plan of a record; null when it leads out of the models folder, or nowhere. */
export function planOfRecord(record: JobRecord, modelsDir: string): DownloadPlan | null {
  const { source, quantization, folder } = record;
  if (!`${folder}${sep}`.startsWith(modelsDir.endsWith(sep) ? modelsDir : modelsDir + sep))
    return null;
  const files = record.files.flatMap(({ name, url, sizeBytes, sha256 }): PlannedFile[] => {
    if (!URL.canParse(url) || !name.split("/").every(isSafeSegment)) return [];
    return [{ name, url: new URL(url), sizeBytes, sha256, target: targetFile(folder, name) }];
  });
  const [first, ...others] = files;
  if (first === undefined || files.length !== record.files.length) return null;
  return { source, quantization, folder, files: [first, ...others] };
}

/** The jobs of earlier processes, in one file that only its owner reads. */
export class JobRecords {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** Empty when there is no file, or none of ours. */
  read(): readonly JobRecord[] {
    try {
      const records: unknown = JSON.parse(readFileSync(this.#path, "utf8"));
      return Value.Check(Records, records) ? records.jobs : [];
    } catch {
      // Absent or broken: the journals beside the files still know what has arrived.
      return [];
    }
  }

  /** One after the other, each whole: a reader sees the old file or the new one. */
  write(jobs: readonly JobRecord[]): Promise<void> {
    const text = JSON.stringify({ version: 1, jobs });
    this.#writing = this.#writing.then(() => this.#replace(text));
    return this.#writing;
  }

  async #replace(text: string): Promise<void> {
    const temporary = `${this.#path}.new`;
    await removeFile(temporary);
    const handle = await createFile(temporary);
    try {
      await handle.writeFile(text);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(temporary, this.#path);
  }
}
