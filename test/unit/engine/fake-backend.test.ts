import { runBackendConformance } from "../../support/backend-conformance.ts";
import { FakeBackend } from "../../support/fake-backend.ts";

runBackendConformance("the fake backend", () => ({
  backend: new FakeBackend(),
  modelPath: "model.gguf",
  corruptPath: "corrupt.gguf",
  tolerance: 0,
  dispose: () => undefined,
}));
