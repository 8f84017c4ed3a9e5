import { LmError } from "../lib/errors.ts";
import { printable } from "../lib/printable.ts";

/**
 * @param available Ids that may be used instead.
 * @param param The field of our own request types that held the name.
 */
export function modelNotFound(
  name: string,
  available: readonly string[],
  param: "model" | "draftModel" = "model",
): LmError<"model_not_found"> {
  return new LmError(
    "model_not_found",
    { model: name, available, param },
    `Model "${printable(name)}" not found. Please specify a valid model.\n\n` +
      `Your models:\n\n${available.join("\n")}`,
  );
}
