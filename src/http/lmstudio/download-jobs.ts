import { Type, type Static } from "typebox";
import type { DownloadSnapshot } from "../../catalog/download/downloads.ts";
import { LmError } from "../../lib/errors.ts";
import { printable } from "../../lib/printable.ts";
import type { Server } from "../generation.ts";
import { jsonResponse } from "../json-response.ts";
import type { GetRoute, PostRoute } from "../route.ts";
import { oneOf, strictObject } from "../schema.ts";
import { DownloadStatus, downloadsOf, toStatus, type Told } from "./download-status.ts";
import { DOWNLOAD_STATUS_EXAMPLE } from "./examples.ts";
import { strictValidator } from "./strict.ts";

const Job = Type.Object({
  ...DownloadStatus.properties,
  model: Type.String({ description: "What is fetched." }),
  quantization: Type.Union([Type.String(), Type.Null()]),
});
type Job = Static<typeof Job>;

const EXAMPLE: Job = {
  ...DOWNLOAD_STATUS_EXAMPLE,
  status: "downloading",
  model: "owner/repository",
  quantization: "Q4_K_M",
};

const toJob = (job: DownloadSnapshot): Job => ({
  ...toStatus(job),
  model: job.source,
  quantization: job.quantization,
});

/** GET /api/lmserver/downloads: the caller's jobs, in the order of their start. */
export function downloadJobs({ deps }: Server, told: Told): GetRoute {
  return {
    method: "GET",
    path: "/api/lmserver/downloads",
    permission: "models:download",
    doc: {
      summary: "List downloads",
      tag: "System",
      response: {
        description: "Under way, paused, and ended within a day.",
        schema: Type.Object({ downloads: Type.Array(Job) }),
        example: { downloads: [EXAMPLE] },
      },
    },
    answer(context) {
      const jobs = downloadsOf(deps).list();
      const own = jobs.filter((job) => told.has(job, context.caller.id));
      return jsonResponse({ downloads: own.map(toJob) });
    },
  };
}

const Change = strictObject({
  job_id: Type.String({ minLength: 1, maxLength: 64 }),
  action: oneOf(["pause", "resume", "cancel"], "Cancelling removes what was fetched."),
});
const parse = strictValidator(Change);

/** POST /api/lmserver/downloads/control: pauses, resumes or cancels a job of the caller's own. */
export function downloadChange({ deps }: Server): PostRoute {
  return {
    method: "POST",
    path: "/api/lmserver/downloads/control",
    permission: "models:download",
    body: Change,
    bodyExample: { job_id: DOWNLOAD_STATUS_EXAMPLE.job_id, action: "pause" },
    doc: {
      summary: "Pause, resume or cancel a download",
      tag: "System",
      response: { description: "The job afterwards.", schema: Job, example: EXAMPLE },
    },
    async answer(context, body) {
      const { job_id: id, action } = parse(body);
      const downloads = downloadsOf(deps);
      const known = downloads.status(id);
      const isOwn = known !== null && (known.owner ?? "") === context.caller.id;
      const job = isOwn ? await downloads[action](id) : null;
      if (job !== null) return jsonResponse(toJob(job));
      const message = `Download job '${printable(id)}' not found.`;
      throw new LmError("job_not_found", { job: id }, message);
    },
  };
}
