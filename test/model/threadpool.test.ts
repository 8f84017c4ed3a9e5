import { describe, expect, test } from "bun:test";
import { openLibrary } from "../../src/llama/library.ts";
import { threadpoolParams } from "../../src/llama/threadpool.ts";
import { llamaLibraries } from "../support/llama-libraries.ts";

const libraryDir = llamaLibraries();

/** Offsets of `n_threads` and `poll` in `struct ggml_threadpool_params`, and the default of the second. */
const THREADS = 512;
const POLL = 520;
const USUAL_POLL = 50;

describe.if(libraryDir !== null)("parameters of a thread pool", () => {
  test.each([
    { sleeps: false, poll: USUAL_POLL },
    { sleeps: true, poll: 0 },
  ])("workers that sleep: $sleeps", ({ sleeps, poll }) => {
    const library = openLibrary(libraryDir ?? "");
    const view = new DataView(threadpoolParams(library, 3, sleeps).buffer);
    expect([view.getInt32(THREADS, true), view.getUint32(POLL, true)]).toEqual([3, poll]);
  });
});
