import { LmError, invalidRequest } from "../../lib/errors.ts";
import { shardOf, stemOf } from "../model-names.ts";
import type { HubFile } from "./hub.ts";
import { isSafePath, quantizationOf, type ModelSource } from "./model-source.ts";

/**
 * Which quantisation is fetched when none is named: the usual balance of size and quality, then what
 * is nearest to it, larger before smaller, full precision last.
 */
const USUAL_ORDER: readonly string[] = [
  ..."Q4_K_M UD-Q4_K_XL Q4_K_L Q4_K_S IQ4_XS IQ4_NL Q4_0 Q4_1 MXFP4_MOE MXFP4 NVFP4".split(" "),
  ..."Q5_K_M UD-Q5_K_XL Q5_K_L Q5_K_S Q5_0 Q5_1 Q6_K UD-Q6_K_XL Q6_K_L".split(" "),
  ..."Q3_K_L Q3_K_XL UD-Q3_K_XL Q3_K_M Q8_0 UD-Q8_K_XL Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS".split(
    " ",
  ),
  ..."Q2_K_L Q2_K UD-Q2_K_XL IQ2_M IQ2_S IQ2_XS IQ2_XXS TQ2_0 TQ1_0 IQ1_M IQ1_S".split(" "),
  ..."F16 BF16 FP16 F32 FP32".split(" "),
];

/** Half precision is what projectors are made for; the others follow. */
const PROJECTOR_ORDER: readonly string[] = ["F16", "BF16", "Q8_0", "F32"];

export interface ChosenFiles {
  /** The model's shards in order, then its projector when there is one. */
  files: readonly HubFile[];
  quantization: string | null;
}

interface Candidate {
  quantization: string | null;
  files: readonly HubFile[];
}

/**
 * Picks the files of one model out of a repository.
 * @throws LmError `invalid_request` (param `quantization`) listing what exists, `model_not_found`.
 */
export function chooseFiles(
  listing: readonly HubFile[],
  source: ModelSource & { kind: "hub" },
): ChosenFiles {
  const name = `${source.owner}/${source.repo}`;
  const ggufs = listing.filter(({ path }) => /\.gguf$/i.test(path));
  const usable = ggufs.filter(({ path }) => isSafePath(path));
  const candidates = [...Map.groupBy(usable.filter(isModel), modelOf).values()].map(candidateOf);
  if (candidates.length === 0) {
    const why = ggufs.length > usable.length ? "no GGUF file with a usable name" : "no GGUF file";
    throw notFound(name, `The repository ${name} holds ${why}.`);
  }
  const chosen =
    source.file === null
      ? byQuantization(candidates, source.quantization, name)
      : byFile(candidates, source.file, name);
  checkComplete(chosen, name);
  const projector = projectorOf(usable, chosen);
  const files = projector === null ? chosen.files : [...chosen.files, projector];
  const folded = new Set(files.map(({ path }) => path.toLowerCase()));
  if (folded.size < files.length)
    throw notFound(name, `Two files of ${name} differ in nothing but case.`);
  return { files, quantization: chosen.quantization };
}

const nameOf = ({ path }: HubFile): string => path.slice(path.lastIndexOf("/") + 1);
const isProjector = (file: HubFile): boolean => /mmproj/i.test(nameOf(file));
/** Data for making quantisations is called `imatrix`, and is no model. */
const isModel = (file: HubFile): boolean => !isProjector(file) && !/imatrix/i.test(nameOf(file));

function modelOf(file: HubFile): string {
  const shard = shardOf(stemOf(file.path));
  return shard === null ? file.path : `${shard.stem}\0${shard.count}`;
}

function candidateOf(files: readonly HubFile[]): Candidate {
  const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return { files: sorted, quantization: quantizationOf(sorted[0]?.path ?? "") };
}

const rankIn = (order: readonly string[], quantization: string | null): number => {
  const place = order.indexOf(quantization ?? "");
  return place === -1 ? order.length : place;
};

const sizeOf = ({ files }: Candidate): number =>
  files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

function byQuantization(
  candidates: readonly Candidate[],
  wanted: string | null,
  name: string,
): Candidate {
  const fitting =
    wanted === null ? candidates : candidates.filter(({ quantization }) => quantization === wanted);
  const [best] = fitting.toSorted(
    (a, b) =>
      rankIn(USUAL_ORDER, a.quantization) - rankIn(USUAL_ORDER, b.quantization) ||
      sizeOf(a) - sizeOf(b),
  );
  if (best !== undefined) return best;
  const known = new Set(candidates.flatMap(({ quantization }) => quantization ?? []));
  const there = [...known].toSorted().join(", ");
  throw invalidRequest(
    "quantization",
    "invalid_value",
    `${name} has no ${wanted ?? "such"} file. ${there === "" ? "Its files name no quantization" : `It has ${there}`}.`,
  );
}

function byFile(candidates: readonly Candidate[], file: string, name: string): Candidate {
  const found = candidates.find(({ files }) => files.some(({ path }) => path === file));
  if (found === undefined)
    throw notFound(name, `The repository ${name} has no model file ${file}.`);
  return found;
}

function checkComplete({ files }: Candidate, name: string): void {
  const [first] = files;
  const count = first === undefined ? 1 : (shardOf(stemOf(first.path))?.count ?? 1);
  if (files.length !== count)
    throw notFound(name, `${name} holds ${files.length} of the ${count} parts of this model.`);
}

/** Beside the model, or at the top of the repository. */
function projectorOf(usable: readonly HubFile[], { files }: Candidate): HubFile | null {
  const folder = files[0]?.path.replace(/[^/]*$/, "") ?? "";
  const [best] = usable
    .filter((file) => isProjector(file) && shardOf(stemOf(file.path)) === null)
    .filter(({ path }) => ["", folder].includes(path.replace(/[^/]*$/, "")))
    .toSorted(
      (a, b) =>
        rankIn(PROJECTOR_ORDER, quantizationOf(a.path)) -
        rankIn(PROJECTOR_ORDER, quantizationOf(b.path)),
    );
  return best ?? null;
}

const notFound = (model: string, message: string) =>
  new LmError("model_not_found", { model, available: [], param: "model" }, message);
