import { expect, test } from "bun:test";
import { modelCapabilities } from "../../../src/chat/model-capabilities.ts";

const of = (chatTemplate: string | null) => modelCapabilities({ kind: "llm", chatTemplate });

test.each([
  ["no switch", "{{ messages }}", null],
  [
    "stops when told",
    "{% if enable_thinking is defined and enable_thinking is false %}",
    "off,on:on",
  ],
  ["thinks when told", "{% if enable_thinking is defined and enable_thinking %}", "off,on:off"],
  [
    "thinks when told, by a default of its own",
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}",
    "off,on:off",
  ],
  [
    "thinks by a default of its own",
    "{% if enable_thinking is not defined -%}\n{%- set enable_thinking = true -%}",
    "off,on:on",
  ],
  ["thinks when told, by a bare word", "{%- elif thinking %}", "off,on:off"],
  ["a word in the system message", "{% if '/no_think' in system %}", "off,on:on"],
  ["a level", "{{ reasoning_effort }}", "low,medium,high:medium"],
  ["a level and off", "{{ reasoning_effort }}{{ enable_thinking }}", "off,low,medium,high:medium"],
  ["always", "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}", "on:on"],
  ["thinking of earlier turns only", "{{ message.thinking }}{{ message['thinking'] }}", null],
] as const)("reasoning that can be chosen: %s", (_name, source, expected) => {
  const { reasoning } = of(source);
  expect(reasoning && `${reasoning.allowed.join(",")}:${reasoning.default}`).toBe(expected);
});

test("tools are a matter of the template", () => {
  expect(of("{% if tools %}{% endif %}").toolUse).toBe(true);
  expect(of("{{ messages }}").toolUse).toBe(false);
  expect(of(null)).toEqual({ toolUse: false, reasoning: null });
  expect(modelCapabilities({ kind: "embedding", chatTemplate: "{{ tools }}" }).toolUse).toBe(false);
});
