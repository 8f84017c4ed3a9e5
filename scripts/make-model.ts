import { parseArgs } from "node:util";
import { ARCHITECTURES, SHAPES, type Shape } from "./make-model/architectures.ts";
import { GGML_TYPE, type TensorType } from "./make-model/gguf-writer.ts";
import { makeAdapter } from "./make-model/make-adapter.ts";
import { makeModel, POOLINGS, type Pooling } from "./make-model/make-model.ts";

const USAGE = `Writes a GGUF with random weights.

  bun scripts/make-model.ts OUTPUT.gguf [options]

  --architecture NAME    ${ARCHITECTURES.join(", ")} (llama)
  --shape NAME           ${Object.keys(SHAPES).join(", ")} (tiny); the flags below change it
  --layers N  --embedding N  --heads N  --kv-heads N  --ffn N  --context N
  --type NAME            ${Object.keys(GGML_TYPE).join(", ")} (F32)
  --vocab FILE.gguf      vocabulary of another GGUF (a built-in one that spells every byte)
  --chat-template FILE   Jinja text to put in
  --pooling NAME         ${Object.keys(POOLINGS).join(", ")} (encoders: mean)
  --copies               continues texts as they went on before (qwen2, F32 or Q8_0)
  --seed N               same seed, same file (1)
  --adapter              a LoRA adapter for such a model instead
`;

const NUMBERS = {
  layers: "layers",
  embedding: "embedding",
  heads: "heads",
  "kv-heads": "kvHeads",
  ffn: "feedForward",
  context: "context",
} as const satisfies Record<string, keyof Shape>;

const text = { type: "string" } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    architecture: text,
    shape: text,
    type: text,
    vocab: text,
    "chat-template": text,
    pooling: text,
    seed: text,
    layers: text,
    embedding: text,
    heads: text,
    "kv-heads": text,
    ffn: text,
    context: text,
    adapter: { type: "boolean" },
    copies: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});

const [path] = positionals;
if (values.help || path === undefined || positionals.length !== 1) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}

const shape: Partial<Shape> = { ...pick(SHAPES, values.shape ?? "tiny", "shape") };
for (const [flag, key] of Object.entries(NUMBERS)) {
  const value = values[flag as keyof typeof NUMBERS];
  if (value !== undefined) shape[key] = positive(flag, value);
}
const architecture = values.architecture ?? "llama";
const known = ARCHITECTURES.find((name) => name === architecture);
if (known === undefined) refuse(`Unknown architecture ${architecture}`);
const type = (values.type ?? "F32").toUpperCase();
pick(GGML_TYPE, type, "type");
if (values.pooling !== undefined) pick(POOLINGS, values.pooling, "pooling");

const seed = values.seed === undefined ? 1 : positive("seed", values.seed);
if (values.adapter) {
  makeAdapter({ path, architecture: known, shape, seed });
  process.exit(0);
}
const started = performance.now();
const { sizeBytes, parameters } = makeModel({
  path,
  architecture: known,
  shape,
  type: type as TensorType,
  copies: values.copies ?? false,
  seed,
  ...(values.vocab === undefined ? {} : { vocabularyPath: values.vocab }),
  ...(values.pooling === undefined ? {} : { pooling: values.pooling as Pooling }),
  ...(values["chat-template"] === undefined
    ? {}
    : { chatTemplate: await Bun.file(values["chat-template"]).text() }),
});
const seconds = ((performance.now() - started) / 1000).toFixed(1);
const millions = (parameters / 1e6).toFixed(1);
console.log(`${path}: ${millions}M parameters, ${(sizeBytes / 1e6).toFixed(1)} MB, ${seconds} s`);

function pick<Value>(table: Readonly<Record<string, Value>>, name: string, what: string): Value {
  const value = Object.hasOwn(table, name) ? table[name] : undefined;
  return value ?? refuse(`Unknown ${what} ${name}: one of ${Object.keys(table).join(", ")}`);
}

function positive(flag: string, value: string): number {
  const number = Number(value);
  return Number.isSafeInteger(number) && number > 0
    ? number
    : refuse(`--${flag} must be a positive integer, not ${value}`);
}

function refuse(message: string): never {
  console.error(message);
  process.exit(2);
}
