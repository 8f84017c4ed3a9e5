import { Type, type TEnum, type TProperties, type TSchema } from "typebox";

/** A field that may be left out; null means the same, everywhere in the API. */
export const opt = <T extends TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));

/** An object of a strict dialect: keys that it does not name are refused, and the document says so. */
export const strictObject = <Fields extends TProperties>(fields: Fields) =>
  Type.Object(fields, { additionalProperties: false });

type Range = { minimum?: number; maximum?: number; exclusiveMinimum?: number };

/** A whole number that a double holds exactly; `5.0` is one. */
export const integer = (description: string, range: Range = {}) =>
  Type.Integer({ maximum: Number.MAX_SAFE_INTEGER, ...range, description });

export const decimal = (description: string, range: Range = {}) =>
  Type.Number({ ...range, description });

/** One of these words. */
export const oneOf = <Words extends string[]>(
  words: readonly [...Words],
  description: string,
): TEnum<Words> => Type.Enum(words, { description });

/** Accepted and ignored: only a wrong JSON type is refused. */
export const ignored = {
  string: opt(Type.String({ description: "Accepted and ignored." })),
  boolean: opt(Type.Boolean({ description: "Accepted and ignored." })),
  integer: opt(Type.Integer({ description: "Accepted and ignored." })),
  object: opt(Type.Object({}, { description: "Accepted and ignored." })),
  array: opt(Type.Array(Type.Unknown(), { description: "Accepted and ignored." })),
} as const;
