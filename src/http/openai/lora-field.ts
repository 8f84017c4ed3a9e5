import { Type, type Static } from "typebox";
import { MAX_ADAPTERS } from "../../lib/limits.ts";
import type { AdapterScale } from "../../protocol/commands.ts";
import { decimal, opt } from "../schema.ts";

const Adapter = Type.Object({
  id: Type.Union([Type.Integer({ minimum: 0 }), Type.String({ minLength: 1, maxLength: 256 })], {
    description: "Number or name of an adapter the model was loaded with.",
  }),
  scale: opt(decimal("0 = off. Default 1.", { minimum: -100, maximum: 100 })),
});

/** LoRA adapters of one request. Source: llama.cpp, tools/server/README.md. */
export const loraField = opt(
  Type.Array(Adapter, {
    maxItems: MAX_ADAPTERS,
    description: "LoRA adapters to use, all others off; [] = as the model was loaded.",
  }),
);

/** What the request chooses; absent = as the model was loaded. */
export function toAdapters(lora: Static<typeof loraField>): { adapters?: AdapterScale[] } {
  if (lora == null || lora.length === 0) return {};
  return { adapters: lora.map(({ id, scale }) => ({ adapter: id, scale: scale ?? 1 })) };
}
