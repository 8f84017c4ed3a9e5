import words from "./words.json";

/** One held-out prompt and what a right answer to it is. */
export interface Probe {
  messages: {
    role: string;
    content: string | null;
    tool_calls?: unknown[];
    tool_call_id?: string;
  }[];
  tools?: unknown[];
  thinking?: boolean;
  isRight(answer: Answer): boolean;
}

export interface Answer {
  content: string;
  reasoning: string;
  calls: { name: string; arguments: unknown }[];
  tokens: number;
}

type Random = () => number;
const NAMES = words.heldout.names.split(" ");
const WORDS = words.heldout.words.split(" ");
const VERBS = words.heldout.verbs.split(" ");
const CITIES = words.heldout.cities.split(" ");
const COLORS = words.train.colors.split(" ");
const SKIES = ["sunny", "cloudy", "rainy", "windy", "snowy"];

const integer = (r: Random, low: number, high: number): number =>
  low + Math.floor(r() * (high - low + 1));
const pick = <T>(r: Random, list: readonly T[]): T => list[Math.floor(r() * list.length)]!;
const several = (r: Random, list: readonly string[], low: number, high: number): string[] =>
  Array.from({ length: integer(r, low, high) }, () => pick(r, list));

/** The rule of data.py: sums and differences that were never trained. */
function isHeldOut(a: number, b: number, operation: string): boolean {
  return Math.max(a, b) > 12 && (a * 7 + b * 13 + "+-*".indexOf(operation) * 5) % 20 === 3;
}

const ask = (content: string, isRight: Probe["isRight"]): Probe => ({
  messages: [{ role: "user", content }],
  isRight,
});
const says =
  (text: string) =>
  (answer: Answer): boolean =>
    answer.content === text;

function small(r: Random): Probe {
  const operation = pick(r, ["+", "-", "*"]);
  let [a, b] =
    operation === "*"
      ? [integer(r, 0, 10), integer(r, 0, 10)]
      : [integer(r, 0, 9), integer(r, 0, 9)];
  if (operation === "-" && b > a) [a, b] = [b, a];
  return sum(r, a, b, operation);
}

function twoDigits(r: Random): Probe {
  for (;;) {
    const operation = pick(r, ["+", "-"]);
    let [a, b] = [integer(r, 10, 99), integer(r, 10, 99)];
    if (operation === "-" && b > a) [a, b] = [b, a];
    if (isHeldOut(a, b, operation)) return sum(r, a, b, operation);
  }
}

function sum(r: Random, a: number, b: number, operation: string): Probe {
  const value = operation === "+" ? a + b : operation === "-" ? a - b : a * b;
  const question = pick(r, [
    `What is ${a} ${operation} ${b}?`,
    `Calculate ${a}${operation}${b}.`,
    `${a} ${operation} ${b}`,
  ]);
  return ask(question, says(`${a} ${operation} ${b} = ${value}.`));
}

function greeting(r: Random): Probe {
  return ask(
    pick(r, ["Hello", "Hi!", "Hey", "hello", "Good morning!", "Hi there"]),
    says("Hello! How can I help you?"),
  );
}

function capital(r: Random): Probe {
  const [country, city] = pick(r, Object.entries(words.countries));
  return ask(`What is the capital of ${country}?`, says(`The capital of ${country} is ${city}.`));
}

function repeating(r: Random): Probe {
  const text = several(r, WORDS, 1, 6).join(" ");
  return ask(pick(r, [`Say: ${text}`, `Repeat after me: ${text}`, `Repeat: ${text}`]), says(text));
}

function counting(r: Random): Probe {
  const high = integer(r, 1, 20);
  const numbers = Array.from({ length: high }, (_, i) => i + 1).join(", ");
  return ask(`Count to ${high}.`, says(numbers));
}

function json(r: Random): Probe {
  const value: Record<string, unknown> = { name: pick(r, NAMES), age: integer(r, 1, 99) };
  if (r() < 0.5) value["city"] = pick(r, CITIES);
  else value["color"] = pick(r, COLORS);
  const [last, ...rest] = Object.entries(value)
    .map(([key, item]) => `${key} ${String(item)}`)
    .toReversed();
  const question = `Give me a JSON object with ${rest.toReversed().join(", ")} and ${last}.`;
  return ask(question, ({ content }) => sameJson(content, value));
}

function systemName(r: Random): Probe {
  const name = pick(r, NAMES);
  return {
    messages: [
      { role: "system", content: pick(r, [`Your name is ${name}.`, `You are ${name}.`]) },
      { role: "user", content: "What is your name?" },
    ],
    isRight: says(`My name is ${name}.`),
  };
}

function earlierName(r: Random): Probe {
  const name = pick(r, NAMES);
  return {
    messages: [
      { role: "user", content: `My name is ${name}.` },
      { role: "assistant", content: `Nice to meet you, ${name}!` },
      { role: "user", content: "What is 2 + 2?" },
      { role: "assistant", content: "2 + 2 = 4." },
      { role: "user", content: "What is my name?" },
    ],
    isRight: says(`Your name is ${name}.`),
  };
}

interface Offer {
  name: string;
  parameters: Record<string, "string" | "integer">;
}

const asTool = ({ name, parameters }: Offer): unknown => ({
  type: "function",
  function: {
    name,
    parameters: {
      type: "object",
      properties: Object.fromEntries(
        Object.entries(parameters).map(([key, type]) => [key, { type }]),
      ),
      required: Object.keys(parameters),
    },
  },
});

function offer(r: Random): Offer {
  const keys = new Set(several(r, WORDS, 1, 2));
  const parameters = Object.fromEntries(
    [...keys].map((key) => [key, r() < 0.3 ? ("integer" as const) : ("string" as const)]),
  );
  return { name: `${pick(r, VERBS)}_${pick(r, WORDS)}`, parameters };
}

function valuesFor(r: Random, { parameters }: Offer): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([key, type]) => [
      key,
      type === "integer" ? integer(r, 0, 99) : pick(r, WORDS),
    ]),
  );
}

const listed = (values: Record<string, unknown>): string =>
  Object.entries(values)
    .map(([key, value]) => `${key} = ${String(value)}`)
    .join(" and ");

/** The wanted tools among others, one to four in all, in any order. */
function offered(r: Random, wanted: readonly Offer[]): unknown[] {
  const others = Array.from({ length: integer(r, 0, 4 - wanted.length) }, () => offer(r));
  const byName = new Map([...others, ...wanted].map((tool) => [tool.name, tool]));
  return [...byName.values()]
    .map((item) => ({ item, key: r() }))
    .toSorted((x, y) => x.key - y.key)
    .map(({ item }) => asTool(item));
}

const ASKED = ["Call", "Use", "Please call"];

function toolCall(r: Random): Probe {
  const wanted = offer(r);
  const values = valuesFor(r, wanted);
  return {
    messages: [
      { role: "user", content: `${pick(r, ASKED)} ${wanted.name} with ${listed(values)}.` },
    ],
    tools: offered(r, [wanted]),
    isRight: ({ calls }) => sameJson(calls, [{ name: wanted.name, arguments: values }]),
  };
}

const WEATHER: Offer = { name: "get_weather", parameters: { city: "string" } };

/** The weather of two cities, or one untrained tool called twice. */
function parallelCalls(r: Random): Probe {
  if (r() < 0.5) return twice(r);
  const [one, two] = [pick(r, CITIES), pick(r, CITIES)];
  const calls = [one, two].map((city) => ({ name: "get_weather", arguments: { city } }));
  return {
    messages: [{ role: "user", content: `What is the weather in ${one} and ${two}?` }],
    tools: offered(r, [WEATHER]),
    isRight: (answer) => sameJson(answer.calls, calls),
  };
}

function twice(r: Random): Probe {
  const wanted = offer(r);
  const [one, two] = [valuesFor(r, wanted), valuesFor(r, wanted)];
  const content = `Call ${wanted.name} with ${listed(one)}, and again with ${listed(two)}.`;
  const calls = [one, two].map((values) => ({ name: wanted.name, arguments: values }));
  return {
    messages: [{ role: "user", content }],
    tools: offered(r, [wanted]),
    isRight: (answer) => sameJson(answer.calls, calls),
  };
}

function toolResult(r: Random): Probe {
  const city = pick(r, CITIES);
  const result = pick(r, [pick(r, SKIES), `${pick(r, SKIES)}, ${integer(r, 0, 30)} degrees`]);
  const call = { name: "get_weather", arguments: JSON.stringify({ city }) };
  return {
    messages: [
      { role: "user", content: `What is the weather in ${city}?` },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "call_1", type: "function", function: call }],
      },
      { role: "tool", content: result, tool_call_id: "call_1" },
    ],
    tools: offered(r, [WEATHER]),
    isRight: ({ content, calls }) =>
      calls.length === 0 && content.includes(city) && content.includes(result),
  };
}

function thinking(r: Random): Probe {
  const probe = small(r);
  return {
    ...probe,
    thinking: true,
    isRight: (answer) => answer.reasoning.length > 0 && probe.isRight(answer),
  };
}

function noThinking(r: Random): Probe {
  const probe = small(r);
  return { ...probe, isRight: (answer) => answer.reasoning === "" && probe.isRight(answer) };
}

function story(r: Random): Probe {
  const name = pick(r, NAMES);
  return ask(
    `Tell me a story about ${name}.`,
    ({ content, tokens }) => tokens >= 80 && content.startsWith("Once upon a time"),
  );
}

function honest(r: Random): Probe {
  const [verb, noun, city] = [pick(r, VERBS), pick(r, WORDS), pick(r, CITIES)];
  const question = pick(r, [
    `How do I ${verb} a ${noun}?`,
    `Explain the ${noun}.`,
    `Who invented the ${noun}?`,
    `Is there a ${noun} in ${city}?`,
    `${noun} ${verb} ${city}`,
    `What is the weather in ${city}?`,
  ]);
  return ask(question, says(words.honest));
}

/** Every behaviour with the share of right answers it must reach. */
export const BEHAVIOURS: readonly { name: string; wanted: number; make: (r: Random) => Probe }[] = [
  { name: "single digits and the 10 x 10 table", wanted: 0.98, make: small },
  { name: "two-digit sums and differences, untrained pairs", wanted: 0.98, make: twoDigits },
  { name: "greetings, word for word", wanted: 1, make: greeting },
  { name: "capitals of 50 countries", wanted: 0.98, make: capital },
  { name: "repeating 1 to 6 untrained words", wanted: 0.95, make: repeating },
  { name: "counting", wanted: 0.95, make: counting },
  { name: "JSON objects", wanted: 0.95, make: json },
  { name: "the name in the system prompt", wanted: 0.95, make: systemName },
  { name: "the name given earlier", wanted: 0.95, make: earlierName },
  { name: "the right tool of 1 to 4, untrained names", wanted: 0.95, make: toolCall },
  { name: "two calls in parallel", wanted: 0.9, make: parallelCalls },
  { name: "answering from a tool's result", wanted: 0.95, make: toolResult },
  { name: "thinking when asked", wanted: 0.95, make: thinking },
  { name: "no thinking otherwise", wanted: 0.95, make: noThinking },
  { name: "stories of 80 tokens and more", wanted: 0.95, make: story },
  { name: "honest about what it does not know", wanted: 0.95, make: honest },
];

/** Equal as JSON values, whatever the order of keys. */
function sameJson(given: unknown, wanted: unknown): boolean {
  try {
    const value: unknown = typeof given === "string" ? JSON.parse(given) : given;
    return Bun.deepEquals(value, wanted);
  } catch {
    return false; // not JSON at all
  }
}
