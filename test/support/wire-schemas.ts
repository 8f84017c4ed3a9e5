import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020";
import { sharedPath } from "./shared.ts";

/** A file of published schemas: says what is wrong with a value, "No errors" when nothing is. */
export class WireSchemas {
  readonly #ajv = new Ajv2020({ strict: false });
  readonly #id: string | null;

  /** @param name File below the reference data, for example "contracts/x.schema.json". */
  constructor(name: string) {
    const path = sharedPath(name);
    const schema = path === null ? null : (JSON.parse(readFileSync(path, "utf8")) as Root);
    if (schema !== null) this.#ajv.addSchema(schema);
    this.#id = schema?.$id ?? null;
  }

  /** False where the reference data is absent: tests that need it are skipped. */
  get isHere(): boolean {
    return this.#id !== null;
  }

  /** @param name One of the file's definitions. */
  errors(name: string, value: unknown): string {
    if (this.#id === null) throw new Error("the reference data is absent");
    this.#ajv.validate({ $ref: `${this.#id}#/$defs/${name}` }, value);
    return this.#ajv.errorsText();
  }
}

interface Root {
  $id: string;
}
