import { Type } from "typebox";
import { EXIT, ExitError } from "./command.ts";
import type { Target } from "./server-client.ts";
import { listServerModels, matchModel, type ServerModel } from "./server-models.ts";
import { askServer } from "./server-request.ts";

/**
 * What to ask for: the model named, which may be an identifier or an alias, else a loaded one, else
 * the only one there is.
 * @throws ExitError usage when that leaves several.
 */
export async function chooseModel(target: Target, named: string | undefined): Promise<string> {
  const models = (await listServerModels(target)).filter((model) => model.type === "llm");
  const loaded = models.flatMap((model) => model.loaded_instances.map(({ id }) => id));
  if (named !== undefined)
    return loaded.includes(named) ? named : await matchOrAlias(target, models, named);
  const [first] = loaded;
  if (first !== undefined) return first;
  const [only, ...others] = models;
  if (only === undefined)
    throw new ExitError(EXIT.failed, "The server has no language model. Get one: lmserver get");
  if (others.length === 0) return only.key;
  const list = models.map(({ key }) => `  ${key}`).join("\n");
  throw new ExitError(EXIT.usage, `Which model?\n${list}`);
}

/** A name that matches nothing may be an alias, which only the server knows. */
async function matchOrAlias(
  target: Target,
  models: readonly ServerModel[],
  named: string,
): Promise<string> {
  try {
    return matchModel(models, named).key;
  } catch (error) {
    if (!(error instanceof ExitError) || error.code !== "model_not_found") throw error;
    if (await isKnown(target, named)) return named;
    throw error;
  }
}

async function isKnown(target: Target, name: string): Promise<boolean> {
  const path = `/v1/models/${encodeURIComponent(name)}`;
  try {
    await askServer(target, { path, schema: Type.Object({ id: Type.String() }) });
    return true;
  } catch (error) {
    if (error instanceof ExitError && error.exitCode === EXIT.failed) return false;
    throw error;
  }
}
