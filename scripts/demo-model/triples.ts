import words from "./words.json";

/** [a sentence, a paraphrase of it, another sentence], a hundred times, for embeddings. */
export const TRIPLES: readonly (readonly [string, string, string])[] = make();

function make(): [string, string, string][] {
  const countries = Object.keys(words.countries);
  const names = words.heldout.names.split(" ");
  const things = words.heldout.words.split(" ");
  const triples: [string, string, string][] = [];
  for (let i = 0; i < 25; i++) {
    const country = countries[(i * 7) % countries.length] ?? "";
    const other = countries[(i * 11 + 3) % countries.length] ?? "";
    const name = names[i % names.length] ?? "";
    const thing = things[(i * 3) % things.length] ?? "";
    const a = 3 + i;
    triples.push(
      [`What is the capital of ${country}?`, `Name the capital of ${country}.`, `Say: ${thing}`],
      [`My name is ${name}.`, `I am ${name}.`, `What is the capital of ${other}?`],
      [`What is ${a} + 4?`, `How much is ${a} plus 4?`, `Tell me a story about a ${thing}.`],
      [`Repeat after me: ${thing}`, `Please repeat: ${thing}`, `What is the weather in ${other}?`],
    );
  }
  return triples;
}
