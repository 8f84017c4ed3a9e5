import { FakeBackend, type FakeModel, type FakeOptions } from "./fake-backend.ts";

/** A loaded fake model, without the ceremony. */
export function fakeModel(options: FakeOptions = {}): FakeModel {
  const file = { path: "fake", gpuLayers: "off", contextLength: null, mmap: true } as const;
  return new FakeBackend(options).loadModel(file, () => undefined);
}

/** Makes the fake answer each prompt that ends with `question` by the bytes or tokens of `answer`. */
export function scripted(
  question: string,
  answer: readonly number[],
): (tokens: readonly number[]) => number | null {
  const asked = Array.from(Buffer.from(question));
  const marker = asked.join(",");
  return (tokens) => {
    for (let given = 0; given < answer.length; given++) {
      const start = tokens.length - given - asked.length;
      if (start < 0) return null;
      const matches =
        tokens.slice(start, start + asked.length).join(",") === marker &&
        tokens.slice(start + asked.length).join(",") === answer.slice(0, given).join(",");
      if (matches) return answer[given] ?? null;
    }
    return null;
  };
}
