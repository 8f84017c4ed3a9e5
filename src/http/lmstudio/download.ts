import { Type, type Static } from "typebox";
import { LmError } from "../../lib/errors.ts";
import { printable } from "../../lib/printable.ts";
import type { Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import { holdOpen } from "../request-context.ts";
import type { GetRoute, PostRoute } from "../route.ts";
import { opt, strictObject } from "../schema.ts";
import { downloadChange, downloadJobs } from "./download-jobs.ts";
import {
  downloadsOf,
  DownloadStatus,
  JobState,
  stateOf,
  times,
  timesOf,
  Told,
  toStatus,
} from "./download-status.ts";
import { DOWNLOAD_EXAMPLE, DOWNLOAD_REQUEST_EXAMPLE, DOWNLOAD_STATUS_EXAMPLE } from "./examples.ts";
import { strictValidator } from "./strict.ts";

/** Body of POST /api/v1/models/download. */
const NativeDownload = strictObject({
  model: Type.String({ minLength: 1, maxLength: 1_024, description: "owner/name, or its URL." }),
  quantization: opt(Type.String({ minLength: 1, maxLength: 64, description: "Such as Q4_K_M." })),
});

const DownloadAnswer = Type.Union([
  Type.Object({ status: Type.Literal("already_downloaded") }),
  Type.Object({
    job_id: Type.String(),
    status: JobState,
    total_size_bytes: Type.Integer(),
    ...times,
  }),
]);
type DownloadAnswer = Static<typeof DownloadAnswer>;

const parse = strictValidator(NativeDownload);

/** The routes of downloads, which know who was told of which job. */
export function nativeDownloads(server: Server): (GetRoute | PostRoute)[] {
  const told = new Told();
  return [
    start(server, told),
    status(server, told),
    downloadJobs(server, told),
    downloadChange(server),
  ];
}

/** POST /api/v1/models/download: begins, and does not wait. */
function start({ deps }: Server, told: Told): PostRoute {
  return {
    method: "POST",
    path: "/api/v1/models/download",
    permission: "models:download",
    body: NativeDownload,
    bodyExample: DOWNLOAD_REQUEST_EXAMPLE,
    doc: {
      summary: "Download a model from Hugging Face",
      tag: "LM Studio",
      response: { description: "The job.", schema: DownloadAnswer, example: DOWNLOAD_EXAMPLE },
    },
    async answer(context, body) {
      const { model, quantization = null } = parse(body);
      holdOpen(context);
      const { id } = context.caller;
      const owner = id === "" ? null : id;
      const job = await downloadsOf(deps).start(
        { model, quantization, owner, allowAnyHost: false },
        context.request.signal,
      );
      if (job.state === "already_downloaded") return jsonResponse({ status: job.state });
      if (job.owner !== owner) told.add(job.id, id);
      return jsonResponse({
        job_id: job.id,
        status: stateOf(job),
        total_size_bytes: job.totalBytes,
        ...timesOf(job),
      } satisfies DownloadAnswer);
    },
  };
}

/** GET /api/v1/models/download/status/{id}. */
function status({ deps }: Server, told: Told): GetRoute {
  return {
    method: "GET",
    path: "/api/v1/models/download/status/{id}",
    permission: "models:download",
    doc: {
      summary: "Say how far a download is",
      tag: "LM Studio",
      response: {
        description: "The job.",
        schema: DownloadStatus,
        example: DOWNLOAD_STATUS_EXAMPLE,
      },
    },
    answer(context, id) {
      const job = downloadsOf(deps).status(id);
      if (job && told.has(job, context.caller.id)) return jsonResponse(toStatus(job));
      const shown = printable(id);
      throw new LmError("job_not_found", { job: id }, `Download job '${shown}' not found.`);
    },
  };
}
