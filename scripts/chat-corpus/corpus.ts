import { isDeepStrictEqual } from "node:util";
import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import { ChatTemplate } from "../../src/chat/chat-template.ts";
import { DEFAULT_CHAT_OPTIONS, type ChatOptions, type Tool } from "../../src/chat/conversation.ts";
import { detectFormat, type DetectedFormat } from "../../src/chat/detection/detect-format.ts";
import { isReasoningOpen } from "../../src/chat/detection/reasoning-tags.ts";
import { createParser } from "../../src/chat/parser/parser.ts";
import { collect, valueOf, type Answer } from "./collect.ts";

const TextOrNull = Type.Optional(Type.Union([Type.String(), Type.Null()]));

/** What is absent is empty. */
const Expected = Type.Object({
  content: TextOrNull,
  reasoning_content: TextOrNull,
  tool_calls: Type.Optional(
    Type.Array(Type.Object({ name: Type.String(), arguments: Type.Unknown(), id: TextOrNull })),
  ),
});

const Tools = Type.Array(
  Type.Object({
    function: Type.Object({
      name: Type.String(),
      description: TextOrNull,
      parameters: Type.Optional(
        Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
      ),
    }),
  }),
);

const Sample = Type.Object({
  name: Type.String(),
  output: Type.String(),
  thinking: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
  /** Instead of the manifest's own. */
  tools: Type.Optional(Tools),
  expect: Expected,
});

const ManifestEntry = Type.Object({
  file: Type.String(),
  family: Type.String(),
  samples: Type.Array(Sample),
});

const Manifest = Type.Object({ tools: Type.Optional(Tools), entries: Type.Array(ManifestEntry) });

export type ManifestEntry = Static<typeof ManifestEntry>;
type Sample = Static<typeof Sample>;

export interface EntryResult {
  format: string;
  passed: number;
  failures: string[];
}

/** Characters per chunk; 0 = the whole output at once. */
const CHUNK_SIZES = [0, 1, 2, 3, 7];

const NOW = new Date(2024, 5, 15, 12);

/** A set of model outputs with what they must be read as. */
export class ChatCorpus {
  readonly entries: readonly ManifestEntry[];
  readonly #tools: readonly Tool[];
  readonly #readTemplate: (file: string) => string;

  constructor(manifest: unknown, readTemplate: (file: string) => string) {
    const { tools = [], entries } = Value.Parse(Manifest, manifest);
    this.entries = entries;
    this.#readTemplate = readTemplate;
    this.#tools = toolsOf(tools);
  }

  /** A template that cannot be used fails every sample of its entry. */
  async run(entry: ManifestEntry): Promise<EntryResult> {
    try {
      return await this.#run(entry);
    } catch (error) {
      const readings = entry.samples.flatMap(({ name }) => CHUNK_SIZES.map((size) => [name, size]));
      const failures = readings.map(([name, size]) => `${name}, ${size}: ${String(error)}`);
      return { format: "none", passed: 0, failures };
    }
  }

  async #run(entry: ManifestEntry): Promise<EntryResult> {
    const source = this.#readTemplate(entry.file);
    const template = new ChatTemplate(source);
    const render = async (
      messages: Parameters<ChatTemplate["renderChat"]>[0]["messages"],
      options: ChatOptions,
    ): Promise<string> => template.renderChat({ messages, options, bosText: "", eosText: "" }, NOW);
    const detected = await detectFormat({ source, render, singleTokens: new Set() });
    const result: EntryResult = { format: detected.format.name, passed: 0, failures: [] };
    for (const sample of entry.samples) {
      const tools = sample.tools === undefined ? this.#tools : toolsOf(sample.tools);
      const prompt = await promptOf(render, sample, tools);
      for (const size of CHUNK_SIZES) {
        const problem = check(detected, prompt, sample, tools, size);
        if (problem === null) result.passed += 1;
        else result.failures.push(`${sample.name}, ${label(size)}: ${problem}`);
      }
    }
    return result;
  }
}

type Render = (
  messages: Parameters<ChatTemplate["renderChat"]>[0]["messages"],
  options: ChatOptions,
) => Promise<string>;

const toolsOf = (tools: Static<typeof Tools>): readonly Tool[] =>
  tools.map(({ function: { name, description, parameters } }) => ({
    name,
    description: description ?? null,
    parameters: parameters ?? null,
    strict: false,
  }));

/** The prompt an output follows. */
function promptOf(render: Render, sample: Sample, tools: readonly Tool[]): Promise<string> {
  const question = {
    role: "user",
    content: [{ type: "text", text: "A question." }],
    reasoning: null,
    toolCalls: [],
    toolCallId: null,
    name: null,
  } as const;
  return render([question], {
    ...DEFAULT_CHAT_OPTIONS,
    enableThinking: sample.thinking ?? null,
    tools,
    toolChoice: { kind: "auto", allowed: null },
  });
}

/** What is wrong with one reading of a sample; null = nothing. */
function check(
  detected: DetectedFormat,
  prompt: string,
  sample: Sample,
  tools: readonly Tool[],
  size: number,
): string | null {
  const tags = detected.format.reasoning === null ? detected.reasoning : null;
  const parser = createParser({
    format: detected.format,
    reasoning: tags === null ? null : { tags, open: isReasoningOpen(prompt, tags) },
    tools,
    parallel: true,
    newId: () => "",
  });
  const got = collect(parser, sample.output, size);
  const want = expectedOf(sample);
  return isDeepStrictEqual(comparable(got, want), want)
    ? null
    : `wanted ${JSON.stringify(want)}, got ${JSON.stringify(got)}`;
}

const label = (size: number): string => (size === 0 ? "whole" : `chunks of ${size}`);

function expectedOf({ expect }: Sample): Answer {
  return {
    text: expect.content?.trim() ?? "",
    reasoning: expect.reasoning_content?.trim() ?? "",
    calls: (expect.tool_calls ?? []).map(({ name, arguments: args, id }) => ({
      name,
      // Some corpora write arguments as the JSON text they are on the wire.
      args: typeof args === "string" ? valueOf(args) : args,
      id: id ?? "",
    })),
  };
}

/** Identifiers count only where the corpus states one. */
function comparable(got: Answer, want: Answer): Answer {
  return {
    ...got,
    calls: got.calls.map((call, index) => ({
      ...call,
      id: want.calls[index]?.id === "" ? "" : call.id,
    })),
  };
}
