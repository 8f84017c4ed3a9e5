/**
 * Bounds on what one client, one request or one file may ask of the server. A value a setting can
 * change is the default of that setting; the others are fixed.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Default of `--max-body`: base64 images fit. */
export const MAX_BODY_BYTES = 64 * MIB;
/** Request bodies held at one time; more is answered 503. */
export const MAX_BODIES_IN_MEMORY_BYTES = 512 * MIB;
/** A body must arrive within this, plus its size at the slowest rate below. */
export const BODY_DEADLINE_MS = 30_000;
export const BODY_SLOWEST_BYTES_PER_SECOND = 16_000;

/** Nesting, object keys and items per array of a JSON body, counted before it is parsed. */
export const MAX_JSON_DEPTH = 128;
export const MAX_JSON_KEYS = 200_000;
export const MAX_JSON_ARRAY_ITEMS = 200_000;

export const MAX_MESSAGES = 10_000;
export const MAX_TOOLS = 128;
export const MAX_STOPS = 64;
export const MAX_STOP_LENGTH = 1_024;
/** The API's own bound of `n`; `--max-n` may be lower. */
export const MAX_CHOICES = 128;
export const DEFAULT_MAX_CHOICES = 16;
export const MAX_PROMPTS = 128;
export const MAX_EMBEDDING_INPUTS = 2_048;
export const MAX_SCHEMA_BYTES = MIB;
/** Of a client, and of what is made of a schema. */
export const MAX_GRAMMAR_BYTES = 256 * KIB;
export const MAX_BEST_OF = 20;
/** LoRA adapters of one loaded model. */
export const MAX_ADAPTERS = 64;

/** An event stream that is silent this long sends a comment. Half of Bun's idle timeout. */
export const SSE_PING_MS = 15_000;
/** A streamed answer that has not started by then commits its status and sends comments. */
export const LATE_COMMIT_MS = 15_000;
/** One frame that a reader does not take for this long ends the stream. */
export const SSE_STALL_MS = 60_000;
/** Bun closes a connection on which nothing moves for this long. */
export const IDLE_TIMEOUT_SECONDS = 30;
/** The longest it can be told to wait; 0 is for ever. */
export const MAX_IDLE_TIMEOUT_SECONDS = 255;
/** An answer is read at least this fast: what the kernel holds of it has that long to drain. */
export const ANSWER_SLOWEST_BYTES_PER_SECOND = 16_000;

/** Failed authentications per address and minute before 429; loopback is exempt. */
export const MAX_AUTH_FAILURES_PER_MINUTE = 10;
/** Addresses remembered for the limit above. */
export const MAX_AUTH_ADDRESSES = 10_000;

export const MAX_LOG_LINE_BYTES = 8 * KIB;

/** Default of `--responses-size`: bodies of stored responses together. */
export const MAX_STORED_RESPONSE_BYTES = 1_024 * MIB;

/** A chat template that computes longer is ended: it came with the model's file. Processor time. */
export const TEMPLATE_DEADLINE_MS = 1_000;
/** Longest prompt a template may write, in UTF-16 units. */
export const MAX_TEMPLATE_OUTPUT_LENGTH = 32 * MIB;
/** Longest source of a template, in UTF-16 units; the longest known one has 18,000. */
export const MAX_TEMPLATE_LENGTH = MIB;

/** Download jobs that run at the same time; the others wait. */
export const MAX_DOWNLOADS = 3;
/** Download jobs that run or wait. */
export const MAX_OPEN_DOWNLOADS = 100;
/** A hub's listing of one repository. */
export const MAX_HUB_JSON_BYTES = 8 * MIB;
