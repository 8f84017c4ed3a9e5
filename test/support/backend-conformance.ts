import { afterAll, beforeAll, describe } from "bun:test";
import type { Backend, ContextOptions, Model } from "../../src/llama/backend.ts";
import { using } from "./backend-driver.ts";
import { decodingPromises } from "./conformance-decoding.ts";
import type { ConformanceHost } from "./conformance-host.ts";
import { lifetimePromises } from "./conformance-lifetimes.ts";
import { samplingPromises } from "./conformance-sampling.ts";
import { vocabularyPromises } from "./conformance-vocabulary.ts";

/** A backend to test, with a small generating model whose vocabulary spells every byte. */
export interface ConformanceSubject {
  backend: Backend;
  modelPath: string;
  /** A file the backend must refuse. */
  corruptPath: string;
  /** Largest difference of logits that are computed in batches of other sizes. */
  tolerance: number;
  dispose: () => void;
}

const OPTIONS: ContextOptions = {
  purpose: "generate",
  contextLength: 256,
  sequences: 4,
  batchCapacity: 256,
  threads: 1,
  kvTypeK: "f32",
  kvTypeV: "f32",
  flashAttention: "off",
};

/** What every backend promises, whatever computes. */
export function runBackendConformance(
  name: string,
  make: () => ConformanceSubject | Promise<ConformanceSubject>,
): void {
  describe(`${name} keeps the promises of a backend`, () => {
    let subject: ConformanceSubject;
    let model: Model;
    const host: ConformanceHost = {
      options: OPTIONS,
      get model() {
        return model;
      },
      get tolerance() {
        return subject.tolerance;
      },
      get modelPath() {
        return subject.modelPath;
      },
      get corruptPath() {
        return subject.corruptPath;
      },
      load: (path) =>
        subject.backend.loadModel(
          { path, gpuLayers: "off", contextLength: 256, mmap: true },
          () => undefined,
        ),
      withContext: (body) => using(model.createContext(OPTIONS), body),
      tokenize: (text) => model.vocabulary.tokenize(text, false, false),
    };
    beforeAll(async () => {
      subject = await make();
      model = host.load(subject.modelPath);
    });
    afterAll(() => {
      model.dispose();
      subject.dispose();
    });

    vocabularyPromises(host);
    decodingPromises(host);
    samplingPromises(host);
    lifetimePromises(host);
  });
}
