import { DownloadManager } from "../../src/catalog/download/download-manager.ts";
import { outboundOf } from "../../src/catalog/download/open-url.ts";
import { transferTools } from "../../src/catalog/download/transfer-tools.ts";

/** Downloads one model into a folder and says how it ended: to be killed on the way. */
const [modelsDir = "", model = ""] = process.argv.slice(2);
const tools = transferTools(outboundOf(process.env), {
  partBytes: () => 256 * 1024,
  journalEveryBytes: 64 * 1024,
});
const downloads = new DownloadManager({ modelsDir, tools, onComplete: () => Promise.resolve() });
const job = await downloads.start({ model, quantization: null, owner: null, allowAnyHost: false });
const end = job.state === "already_downloaded" ? job : await downloads.settled(job.id);
console.log(
  JSON.stringify({ state: end?.state, failure: end && "failure" in end ? end.failure : null }),
);
