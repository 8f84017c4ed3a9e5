import { isDeepStrictEqual } from "node:util";
import { Type, type Static } from "typebox";
import { Value } from "typebox/value";
import { ChatTemplate } from "../../src/chat/chat-template.ts";
import { DEFAULT_CHAT_OPTIONS, type ChatOptions, type Tool } from "../../src/chat/conversation.ts";
import { detectFormat, type DetectedFormat } from "../../src/chat/detection/detect-format.ts";
import { isReasoningOpen } from "../../src/chat/detection/reasoning-tags.ts";
import { createParser } from "../../src/chat/parser/parser.ts";
import { collect, type Answer } from "./collect.ts";

const Expected = Type.Object({
  content: Type.String(),
  reasoning_content: Type.String(),
  tool_calls: Type.Array(
    Type.Object({
      name: Type.String(),
      arguments: Type.Unknown(),
      id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    }),
  ),
});

const Sample = Type.Object({
  name: Type.String(),
  output: Type.String(),
  thinking: Type.Optional(Type.Boolean()),
  expect: Expected,
});

const ManifestEntry = Type.Object({
  file: Type.String(),
  family: Type.String(),
  samples: Type.Array(Sample),
});

const Manifest = Type.Object({
  tools: Type.Array(
    Type.Object({
      function: Type.Object({
        name: Type.String(),
        description: Type.Optional(Type.String()),
        parameters: Type.Record(Type.String(), Type.Unknown()),
      }),
    }),
  ),
  entries: Type.Array(ManifestEntry),
});

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
    const { tools, entries } = Value.Parse(Manifest, manifest);
    this.entries = entries;
    this.#readTemplate = readTemplate;
    this.#tools = tools.map(({ function: { name, description, parameters } }) => ({
      name,
      description: description ?? null,
      parameters,
      strict: false,
    }));
  }

  async run(entry: ManifestEntry): Promise<EntryResult> {
    const source = this.#readTemplate(entry.file);
    const template = new ChatTemplate(source);
    const render = async (
      messages: Parameters<ChatTemplate["renderChat"]>[0]["messages"],
      options: ChatOptions,
    ): Promise<string> => template.renderChat({ messages, options, bosText: "", eosText: "" }, NOW);
    const detected = await detectFormat({ source, render, isSingleToken: () => false });
    const result: EntryResult = { format: detected.format.name, passed: 0, failures: [] };
    for (const sample of entry.samples) {
      const prompt = await this.#promptOf(render, sample);
      for (const size of CHUNK_SIZES) {
        const problem = this.#check(detected, prompt, sample, size);
        if (problem === null) result.passed += 1;
        else result.failures.push(`${sample.name}, ${label(size)}: ${problem}`);
      }
    }
    return result;
  }

  /** The prompt an output follows, with or without a system message as the template allows. */
  async #promptOf(
    render: (
      messages: Parameters<ChatTemplate["renderChat"]>[0]["messages"],
      options: ChatOptions,
    ) => Promise<string>,
    sample: Sample,
  ): Promise<string> {
    const options: ChatOptions = {
      ...DEFAULT_CHAT_OPTIONS,
      enableThinking: sample.thinking ?? null,
      tools: this.#tools,
      toolChoice: { kind: "auto", allowed: null },
    };
    return render(
      [
        {
          role: "user",
          content: [{ type: "text", text: "A question." }],
          reasoning: null,
          toolCalls: [],
          toolCallId: null,
          name: null,
        },
      ],
      options,
    );
  }

  /** What is wrong with one reading of a sample; null = nothing. */
  #check(detected: DetectedFormat, prompt: string, sample: Sample, size: number): string | null {
    const tags = detected.format.reasoning === null ? detected.reasoning : null;
    const parser = createParser({
      format: detected.format,
      reasoning: tags === null ? null : { tags, open: isReasoningOpen(prompt, tags) },
      tools: this.#tools,
      parallel: true,
      newId: () => "",
    });
    const got = collect(parser, sample.output, size);
    const want = expectedOf(sample);
    return isDeepStrictEqual(comparable(got, want), want)
      ? null
      : `wanted ${JSON.stringify(want)}, got ${JSON.stringify(got)}`;
  }
}

const label = (size: number): string => (size === 0 ? "whole" : `chunks of ${size}`);

function expectedOf({ expect }: Sample): Answer {
  return {
    text: expect.content.trim(),
    reasoning: expect.reasoning_content.trim(),
    calls: expect.tool_calls.map(({ name, arguments: args, id }) => ({ name, args, id: id ?? "" })),
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
