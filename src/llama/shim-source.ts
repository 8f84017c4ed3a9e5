/** What the source is called where the executable put it, beside the libraries. */
export const SHIM_FILE = "shim.c";

/**
 * C compiled at start by bun:ffi, which cannot pass structs by value itself. Functions of llama.cpp
 * come in as addresses, so that nothing is linked; structs are opaque blocks of the right size.
 *
 * `lm_log` receives llama.cpp's log on whatever thread it is written, and stores it in a ring that
 * JavaScript reads between calls: a record is byte 1, the level as a digit, the text. Two threads
 * that write at once may garble each other's text; the index is masked, so nothing else.
 */
export const SHIM_SOURCE = `
typedef struct { void *words[10]; } model_params;
typedef struct { void *words[20]; } context_params;
typedef struct { void *words[7]; } batch;
typedef struct { char no_perf; } chain_params;

void lm_model_params(void *f, model_params *out) { *out = ((model_params (*)(void))f)(); }
void lm_context_params(void *f, context_params *out) { *out = ((context_params (*)(void))f)(); }
void *lm_load_model(void *f, char *path, model_params *params) {
  return ((void *(*)(char *, model_params))f)(path, *params);
}
void *lm_create_context(void *f, void *model, context_params *params) {
  return ((void *(*)(void *, context_params))f)(model, *params);
}
int lm_compute(void *f, void *context, batch *tokens) {
  return ((int (*)(void *, batch))f)(context, *tokens);
}
void *lm_create_chain(void *f) {
  chain_params params;
  params.no_perf = 1;
  return ((void *(*)(chain_params))f)(params);
}
void *lm_create_threadpool(void *f, void *params) { return ((void *(*)(void *))f)(params); }
void lm_free_threadpool(void *f, void *threadpool) { ((void (*)(void *))f)(threadpool); }

static char ring[1 << 18];
static volatile unsigned written;
static void put(char byte) { ring[written++ & ((1 << 18) - 1)] = byte; }
void lm_log(int level, char *text, void *unused) {
  if (level == 1) return;
  put(1);
  put((char)('0' + level));
  for (; *text; text++) put(*text);
}
void *lm_log_function(void) { return (void *)lm_log; }
void *lm_log_ring(void) { return ring; }
unsigned lm_log_written(void) { return written; }
`;

/** Bytes in the ring of SHIM_SOURCE; a power of two. */
export const LOG_RING_SIZE = 1 << 18;
