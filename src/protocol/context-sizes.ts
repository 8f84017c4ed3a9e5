/** Sizes that the library needs of a context whatever was asked for: with others it aborts. */

/** Cells, or rows of a batch, of a context that generates: its first graph has a row for each sequence. */
export function generateSize(asked: number, sequences: number): number {
  return Math.max(asked, sequences);
}

/** Cells and rows of a context that embeds: its graph gives each sequence as many rows. */
export function embedSize(asked: number, sequences: number): number {
  return Math.ceil(asked / sequences) * sequences;
}
