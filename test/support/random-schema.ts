/** Numbers from a seed: the same seed gives the same sequence everywhere. */
export function randomSource(seed: number): (below: number) => number {
  let state = (seed * 2654435761 + 1) >>> 0;
  return (below) => {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

type Pick = (below: number) => number;

const NAMES = [
  "id",
  "name",
  "a-b",
  "ünï",
  "constructor",
  "x y",
  'q"t',
  "items",
  "type",
  "kind",
  "0",
];
const WORDS = ["red", "green", "re", "", "blue sky", 'a"b', "né", "line\nbreak", "true", "5"];
const PATTERNS = [
  "^[a-c]{1,3}$",
  "^\\d{2}-\\d{2}$",
  "^(ab|c)?d+$".replace("d+", "d{1,3}"),
  "^\\w{1,4}(\\.\\w{1,3}){0,2}$",
  "^[^a-z]{2,4}$",
  "^#(?:[0-9A-F]{3}){1,2}$",
  "^a{0,3}$|^b{2}$",
];
const FORMATS = ["date", "time", "date-time", "uuid", "ipv4"];

/**
 * A JSON Schema in which every value is finite and small, so that even a model that writes at
 * random comes to an end. All its keywords are ones the grammar enforces in full.
 */
export function randomSchema(seed: number): Record<string, unknown> {
  const pick = randomSource(seed);
  for (let index = 0; index < 5; index++) pick(2);
  const definitions: Record<string, unknown> = {};
  const schema = pick(6) === 0 ? refTo(pick, definitions) : anySchema(pick, definitions, 2);
  return Object.keys(definitions).length === 0 ? schema : { ...schema, $defs: definitions };
}

function oneOf<T>(pick: Pick, list: readonly T[]): T {
  return list[pick(list.length)]!;
}

function refTo(pick: Pick, definitions: Record<string, unknown>): Record<string, unknown> {
  const name = `d${pick(3)}`;
  if (!(name in definitions)) {
    definitions[name] = true;
    definitions[name] = anySchema(pick, definitions, 1);
  }
  // Still being made: a reference would have no end.
  if (definitions[name] === true) return scalar(pick);
  return { $ref: `#/$defs/${name}` };
}

function anySchema(
  pick: Pick,
  definitions: Record<string, unknown>,
  depth: number,
): Record<string, unknown> {
  const kinds = [scalar, scalar, scalar];
  const deeper = [objectSchema, objectSchema, arraySchema, combined];
  const make = oneOf(pick, depth > 0 ? [...kinds, ...deeper] : kinds);
  return make(pick, definitions, depth);
}

function scalar(pick: Pick): Record<string, unknown> {
  switch (pick(9)) {
    case 0:
      return {
        enum: [oneOf(pick, WORDS), pick(100), null, [1, "x"], { k: pick(3) }].slice(pick(3)),
      };
    case 1:
      return { const: oneOf(pick, WORDS) };
    case 2:
      return { type: "boolean" };
    case 3:
      return integer(pick);
    case 4:
      return decimal(pick);
    case 5:
      return { type: "string", pattern: oneOf(pick, PATTERNS) };
    case 6:
      return { type: "string", format: oneOf(pick, FORMATS) };
    case 7:
      return { type: [oneOf(pick, ["boolean", "integer"]), "null"] };
    default: {
      const min = pick(4);
      return { type: "string", minLength: min, maxLength: min + pick(6) };
    }
  }
}

function integer(pick: Pick): Record<string, unknown> {
  const low = pick(3000) - 1500;
  const bounds = [
    { minimum: low, maximum: low + pick(2000) },
    { exclusiveMinimum: low },
    { maximum: low },
    { minimum: low, maximum: low + 50 + pick(1000), multipleOf: oneOf(pick, [2, 3, 5, 7, 10, 25]) },
    { multipleOf: oneOf(pick, [2, 3, 4, 5, 10, 100]) },
  ];
  return { type: "integer", ...oneOf(pick, bounds) };
}

function decimal(pick: Pick): Record<string, unknown> {
  const low = (pick(4000) - 2000) / oneOf(pick, [1, 7, 8, 100]);
  const high = low + (pick(1000) + 1) / oneOf(pick, [1, 3, 64, 1000]);
  const bounds = [
    { minimum: low, maximum: high },
    { exclusiveMinimum: low, exclusiveMaximum: high },
    { exclusiveMinimum: 0 },
    { maximum: low },
    {},
  ];
  return { type: "number", ...oneOf(pick, bounds) };
}

function objectSchema(
  pick: Pick,
  definitions: Record<string, unknown>,
  depth: number,
): Record<string, unknown> {
  const names = [...new Set(Array.from({ length: pick(4) + 1 }, () => oneOf(pick, NAMES)))];
  const entries = names.map((name) => [name, anySchema(pick, definitions, depth - 1)]);
  const schema: Record<string, unknown> = {
    type: "object",
    properties: Object.fromEntries(entries),
    required: names.filter(() => pick(2) === 0),
  };
  if (pick(3) === 0) schema["additionalProperties"] = false;
  if (pick(5) === 0)
    schema["maxProperties"] = Math.max(names.length - 1, (schema["required"] as string[]).length);
  if (pick(5) === 0) schema["minProperties"] = 1;
  if (pick(4) === 0) schema["nullable"] = true;
  return schema;
}

function arraySchema(
  pick: Pick,
  definitions: Record<string, unknown>,
  depth: number,
): Record<string, unknown> {
  const item = () => anySchema(pick, definitions, depth - 1);
  const min = pick(3);
  if (pick(3) > 0) return { type: "array", items: item(), minItems: min, maxItems: min + pick(3) };
  return {
    type: "array",
    prefixItems: [item(), item()],
    items: pick(2) === 0 ? false : item(),
    minItems: 2,
    maxItems: 3,
  };
}

function combined(
  pick: Pick,
  definitions: Record<string, unknown>,
  depth: number,
): Record<string, unknown> {
  const part = () => anySchema(pick, definitions, depth - 1);
  switch (pick(4)) {
    case 0:
      return { anyOf: [part(), part(), part()] };
    case 1:
      return { oneOf: [{ type: "boolean" }, integer(pick), { const: oneOf(pick, WORDS) }] };
    case 2: {
      const [first, second] = [
        objectSchema(pick, definitions, 1),
        objectSchema(pick, definitions, 1),
      ];
      for (const schema of [first, second]) {
        delete schema["additionalProperties"];
        delete schema["maxProperties"];
        schema["properties"] = Object.fromEntries(
          Object.entries(schema["properties"] as object).map(([name]) => [
            name,
            { type: "integer", minimum: 0, maximum: 99 },
          ]),
        );
      }
      return { allOf: [first, second, { required: [oneOf(pick, NAMES)] }] };
    }
    default:
      return refTo(pick, definitions);
  }
}
