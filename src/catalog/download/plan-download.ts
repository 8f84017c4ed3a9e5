import { realpath } from "node:fs/promises";
import { relative, sep } from "node:path";
import { chooseFiles } from "./choose-files.ts";
import type { DownloadRequest } from "./downloads.ts";
import type { RemoteFile } from "./file-transfer.ts";
import { hubUrl, listRepository, type HubFile } from "./hub.ts";
import { isSafeSegment, parseSource, quantizationOf, type ModelSource } from "./model-source.ts";
import { probeUrl } from "./probe-url.ts";
import { withRetries } from "./retry.ts";
import { makeFolders, targetFile, type TargetFile } from "./target-file.ts";
import type { TransferTools } from "./transfer-tools.ts";
import { downloadFailed, TransientFailure } from "./transfer-failure.ts";
import { invalidRequest, LmError } from "../../lib/errors.ts";

/** Someone waits for the plan: patience ends early. */
const PLAN_ATTEMPTS = 3;
const LONGEST_PLAN_WAIT_MS = 10_000;

export interface PlannedFile extends RemoteFile {
  /** Below the repository's folder. */
  name: string;
  target: TargetFile;
}

/** Everything a job needs to know; nothing has been fetched. */
export interface DownloadPlan {
  source: string;
  quantization: string | null;
  folder: string;
  files: readonly [PlannedFile, ...PlannedFile[]];
}

/**
 * Asks the hub what there is, chooses the files, and makes their folders.
 * @throws LmError as `Downloads.start` says.
 */
export async function planDownload(
  tools: TransferTools,
  modelsDir: string,
  request: DownloadRequest,
  signal: AbortSignal,
): Promise<DownloadPlan> {
  const { outbound, clock } = tools;
  const { endpoint } = outbound;
  const source = parseSource(request.model, endpoint, request.allowAnyHost);
  const asked = wantedQuantization(request.quantization);
  if (asked !== null) checkAgreement(asked, source);
  const patience = {
    ...tools.patience,
    maxAttempts: PLAN_ATTEMPTS,
    longestWaitMs: LONGEST_PLAN_WAIT_MS,
  };
  const ask = <T>(work: () => Promise<T>): Promise<T> => withRetries(work, patience, signal);
  try {
    if (source.kind === "url") {
      const file = await ask(() => probeUrl(outbound, source, clock.now(), signal));
      const place = { source: source.url.host + source.url.pathname, quantization: null };
      return await planFiles(modelsDir, [source.owner, source.repo], place, [file], source.url);
    }
    const repository = `${source.owner}/${source.repo}`;
    const listing = await ask(() => listRepository(outbound, repository, clock.now(), signal));
    const { files, quantization } = chooseFiles(listing, {
      ...source,
      quantization: asked ?? source.quantization,
    });
    const base = hubUrl(endpoint, `/${repository}/resolve/main/`);
    const place = { source: repository, quantization };
    return await planFiles(modelsDir, [source.owner, source.repo], place, files, base);
  } catch (error) {
    if (!(error instanceof TransientFailure)) throw error;
    throw downloadFailed(endpoint.host, error.message, { cause: error });
  }
}

/** Makes the folders of a plan again, which somebody may have removed. @throws LmError `invalid_file`. */
export async function remakeFolders(modelsDir: string, plan: DownloadPlan): Promise<void> {
  const root = await realpath(modelsDir).catch(() => modelsDir);
  const place = relative(root, plan.folder).split(sep);
  for (const { name } of plan.files)
    await makeFolders(modelsDir, [...place, ...name.split("/").slice(0, -1)]);
}

function wantedQuantization(text: string | null): string | null {
  if (text === null) return null;
  if (isSafeSegment(text)) return text.toUpperCase();
  throw invalidRequest("quantization", "invalid_value", "This is not the name of a quantization.");
}

/** @throws LmError invalid_value when the model's name says another quantisation than the field. */
function checkAgreement(asked: string, source: ModelSource): void {
  const isOpen = source.kind === "hub" && source.file === null;
  if (isOpen && source.quantization === null) return;
  const said = isOpen ? source.quantization : quantizationOf(source.file ?? "");
  if (said === asked) return;
  throw invalidRequest(
    "quantization",
    "invalid_value",
    `"${asked}" is asked for, but the model's name says ${said ?? "a file without one"}. Give one of them.`,
  );
}

/** @param base the file's own URL, or that of the folder of all files when it ends in `/`. */
async function planFiles(
  modelsDir: string,
  place: readonly [string, string],
  names: Pick<DownloadPlan, "source" | "quantization">,
  files: readonly HubFile[],
  base: URL,
): Promise<DownloadPlan> {
  const folder = await makeFolders(modelsDir, place);
  const planned: PlannedFile[] = [];
  for (const { path, sizeBytes, sha256 } of files) {
    await makeFolders(modelsDir, [...place, ...path.split("/").slice(0, -1)]);
    const url = base.pathname.endsWith("/") ? new URL(path, base) : base;
    planned.push({ name: path, url, sizeBytes, sha256, target: targetFile(folder, path) });
  }
  const [first, ...others] = planned;
  if (first === undefined) throw new LmError("internal", {}, "A plan without files.");
  return { ...names, folder, files: [first, ...others] };
}
