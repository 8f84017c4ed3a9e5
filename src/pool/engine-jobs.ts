import type { Clock } from "../lib/clock.ts";
import { LmError } from "../lib/errors.ts";
import type { Command } from "../protocol/commands.ts";
import type { JobEvent } from "../protocol/events.ts";
import { CommandWindow, type JobCommand } from "./command-window.ts";
import type { EngineActivity } from "./pool.ts";
import type { PoolCounters } from "./counters.ts";
import type { EngineLimits } from "./engine-limits.ts";
import { EventQueue } from "./event-queue.ts";
import { SpeedMeter } from "./speed-meter.ts";

type WithoutId<T> = T extends unknown ? Omit<T, "jobId"> : never;
/** A job command before it has its id. */
export type NewJob = WithoutId<JobCommand>;

/** One job of one engine, from the command to its terminal event. */
export interface Job {
  readonly id: number;
  readonly type: JobCommand["type"];
  readonly events: EventQueue;
  /** The engine has begun it; before that it waits. Only generate jobs are told to wait. */
  accepted: boolean;
  /** It lost its slot after that, and waits again. */
  requeued: boolean;
  /** The prompt is computed, and has not to be computed again: an answer is being written. */
  answering: boolean;
  /** Nobody reads it any more; it stays until the engine says that it is over. */
  abandoned: boolean;
  /** The last engine step known when it was abandoned. */
  abandonedStep: number;
  /** When it was opened, and once it is accepted, when that was. */
  startedMs: number;
  /** Engine step of its last event. */
  lastStep: number;
}

export interface EngineJobsOptions {
  model: string;
  parallel: number;
  /** Jobs that may wait beside those that run. */
  maxQueue: number;
  limits: EngineLimits;
  clock: Clock;
  counters: PoolCounters;
  send: (command: Command) => void;
}

const MUTE_CHECK_STEPS = 64;

/** Between the end of an engine's step, as the server knows it, and what the next one takes in. */
const BETWEEN_STEPS_MS = 1_000;

/** Texts to tokenise and the like: a request has some of them before its own job. */
const MAX_LIGHT_JOBS = 1_024;

/** The jobs of one engine: bounds them, sends them, hands each its own events, cancels them. */
export class EngineJobs {
  readonly #options: EngineJobsOptions;
  readonly #window: CommandWindow;
  readonly #jobs = new Map<number, Job>();
  readonly #speed = new SpeedMeter();
  #nextId = 1;
  /** The last one that the engine told. */
  #step = 0;
  #stepMs = 0;
  #checkedStep = 0;

  constructor(options: EngineJobsOptions) {
    this.#options = options;
    this.#window = new CommandWindow(options.limits.windowBytes, options.send);
  }

  get count(): number {
    return this.#jobs.size;
  }

  get running(): number {
    return this.#count(isRunning);
  }

  get queued(): number {
    return this.#count((job) => !isRunning(job));
  }

  /** What the engine is at, in the order of what is nearest to an answer. */
  get activity(): EngineActivity {
    const running = [...this.#jobs.values()].filter(isRunning);
    if (running.some((job) => job.answering)) return "generating";
    if (running.some((job) => job.type === "generate")) return "processing-prompt";
    return running.some((job) => job.type === "embed") ? "embedding" : "idle";
  }

  /**
   * Whether the engine may be at a prompt or at a text to embed. It tells that it has begun one with the
   * step that it begins with, so jobs that it may have begun count as well. One that computes answers
   * takes in nothing that is sent during a step: such a job tells nothing of what keeps that step.
   */
  get mayReadPrompt(): boolean {
    const jobs = [...this.#jobs.values()].filter(({ type }) => heavy(type));
    const running = jobs.filter(isRunning);
    if (running.length === 0) return jobs.length > 0;
    if (running.some(({ answering }) => !answering)) return true;
    const lastTakenMs = this.#stepMs + BETWEEN_STEPS_MS;
    const isFree = running.length < this.#options.parallel;
    return isFree && jobs.some((job) => !isRunning(job) && job.startedMs <= lastTakenMs);
  }

  get unreadBytes(): number {
    return this.#window.unreadBytes;
  }

  /** @throws LmError queue_full. */
  open(command: NewJob): Job {
    this.#refuseWhenFull(command.type);
    const id = this.#nextId;
    this.#nextId += 1;
    const job: Job = {
      id,
      type: command.type,
      events: new EventQueue(),
      accepted: command.type !== "generate",
      requeued: false,
      answering: false,
      abandoned: false,
      abandonedStep: 0,
      startedMs: this.#options.clock.monotonicMs(),
      lastStep: 0,
    };
    this.#jobs.set(id, job);
    this.#window.push({ ...command, jobId: id });
    return job;
  }

  /** Ends a job for its reader with `error` and cancels it in the engine. Nothing when it is over. */
  abandon(job: Job, error: unknown): void {
    if (job.abandoned || !this.#jobs.has(job.id)) return;
    job.abandoned = true;
    job.abandonedStep = this.#step;
    job.events.abort(error);
    if (this.#window.withdraw(job.id)) {
      this.#jobs.delete(job.id);
      this.#options.counters.cancelled.queue += 1;
    } else {
      this.#options.send({ type: "cancel", jobId: job.id });
    }
  }

  /** Ends each job that the engine has not begun. */
  abandonWaiting(error: unknown): void {
    for (const job of this.#jobs.values()) if (!job.accepted) this.abandon(job, error);
  }

  /** The engine is gone: readers get what arrived, then `error`. */
  failAll(error: unknown): void {
    for (const job of this.#jobs.values()) job.events.fail(error);
    this.#jobs.clear();
  }

  /** Takes the events of one step. @param receivedJobId see the `step` message. */
  step(step: number, events: readonly JobEvent[], receivedJobId: number): void {
    this.#step = step;
    this.#stepMs = this.#options.clock.monotonicMs();
    let read = receivedJobId;
    for (const event of events) {
      read = Math.max(read, event.jobId);
      this.#route(event, step);
    }
    this.#window.read(read);
    if (step >= this.#checkedStep + MUTE_CHECK_STEPS) this.#endMuted(step);
  }

  #route(event: JobEvent, step: number): void {
    const { counters, clock, limits } = this.#options;
    const job = this.#jobs.get(event.jobId);
    if (job === undefined) {
      counters.staleEvents += 1;
      return;
    }
    job.lastStep = step;
    job.answering ||= event.type === "text";
    if (event.type === "accepted") {
      job.accepted = true;
      job.startedMs = clock.monotonicMs();
    }
    if (event.type === "requeued" || event.type === "resumed") {
      // Of no interest to its reader, whose answer goes on where it was.
      job.requeued = event.type === "requeued";
      // What it had computed may be gone with its slot.
      if (job.requeued) job.answering = false;
      return;
    }
    if (isTerminal(event)) this.#finish(job, event);
    if (event.type === "cancelled") {
      // Of no effect on a job that was abandoned: its reader has the reason already.
      job.events.fail(new LmError("internal", {}, "The engine cancelled a job nobody cancelled."));
      return;
    }
    job.events.push(event);
    if (job.events.bufferedTokens > limits.maxBufferedTokens) {
      const message = "The answer was not read for too long.";
      this.abandon(job, new LmError("overloaded", { retryAfterMs: 1_000 }, message));
    }
  }

  #finish(job: Job, event: JobEvent): void {
    const { counters, clock } = this.#options;
    this.#jobs.delete(job.id);
    if (event.type === "cancelled") {
      counters.cancelled[event.stage] += 1;
      const steps = event.step - job.abandonedStep;
      counters.cancelStepsMax = Math.max(counters.cancelStepsMax, steps);
    } else if (event.type === "jobDone" || event.type === "embedded") {
      this.#speed.add(clock.monotonicMs() - job.startedMs);
    }
  }

  /** An engine that steps on but forgot a job fails that job only. */
  #endMuted(step: number): void {
    this.#checkedStep = step;
    for (const job of this.#jobs.values()) {
      const isSilent = step - job.lastStep >= this.#options.limits.muteSteps;
      if (job.type !== "generate" || !isRunning(job) || job.abandoned || !isSilent) continue;
      this.#options.counters.mutedJobs += 1;
      this.abandon(job, new LmError("internal", {}, "The engine stopped reporting this job."));
    }
  }

  #refuseWhenFull(type: JobCommand["type"]): void {
    const { parallel, maxQueue } = this.#options;
    const isHeavy = heavy(type);
    const open = this.#count((job) => heavy(job.type) === isHeavy);
    if (open < (isHeavy ? parallel + maxQueue : MAX_LIGHT_JOBS)) return;
    const [queued, limit] = isHeavy ? [open - parallel, maxQueue] : [open, MAX_LIGHT_JOBS];
    throw queueFull(queued, limit, this.#speed.retryAfterMs(open, parallel));
  }

  #count(matches: (job: Job) => boolean): number {
    let count = 0;
    for (const job of this.#jobs.values()) if (matches(job)) count += 1;
    return count;
  }
}

/** The refusal of a job or request beyond the queue's limit. */
export function queueFull(queued: number, limit: number, retryAfterMs: number): LmError {
  return new LmError(
    "queue_full",
    { queued, limit, retryAfterMs },
    `The model's queue is full: ${queued} requests wait, the limit is ${limit}.`,
  );
}

const TERMINAL: ReadonlySet<JobEvent["type"]> = new Set([
  "jobDone",
  "embedded",
  "tokenized",
  "inspected",
  "jobFailed",
  "cancelled",
]);

/** The engine works on it. */
function isRunning({ accepted, requeued }: Job): boolean {
  return accepted && !requeued;
}

/** Whether the event is the last one of its job. */
export function isTerminal(event: JobEvent): boolean {
  return TERMINAL.has(event.type);
}

/** Jobs that need a slot; the others are answered between steps and hold no place in the queue. */
function heavy(type: JobCommand["type"]): boolean {
  return type === "generate" || type === "embed";
}
