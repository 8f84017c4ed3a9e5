import words from "./words.json";

/** A sentence and its paraphrase a line. */
const EVERYDAY = `
The cat sleeps on the sofa. | A cat is sleeping on the couch.
The train leaves at noon. | At noon the train departs.
She bought a new red car. | She has purchased a red car.
It rained all day yesterday. | Yesterday it was raining the whole day.
He plays the guitar every evening. | Each evening he plays his guitar.
The children are building a sand castle. | Kids build a castle out of sand.
My brother works in a hospital. | The hospital is where my brother works.
The soup is too hot to eat. | This soup is too hot.
They walked along the river. | They took a walk by the river.
The meeting was moved to Monday. | The meeting now takes place on Monday.
I forgot my keys at home. | I left my keys at home.
The shop closes at six. | At six the shop is closed.
The teacher praised the students. | The students were praised by the teacher.
A dog barked in the night. | During the night a dog was barking.
We planted three trees in the garden. | Three trees were planted in our garden.
The old bridge is being repaired. | Workers repair the old bridge.
He wrote a letter to his mother. | His mother got a letter from him.
The museum is free on Sundays. | On Sundays the museum costs nothing.
The plane landed an hour late. | The plane was an hour late when it landed.
She speaks four languages. | She can speak four different languages.
The baby has fallen asleep. | The baby is asleep now.
Coffee keeps me awake. | I cannot sleep after coffee.
The lamp on the desk is broken. | The desk lamp does not work any more.
Snow covered the mountains. | The mountains were covered with snow.
He lost the game of chess. | He was beaten in a game of chess.
The bakery sells fresh bread. | Fresh bread is sold at the bakery.
The ship sailed across the ocean. | Across the ocean the ship sailed.
I would like a glass of water. | Please give me a glass of water.
The window was left open. | Somebody left the window open.
Her office is on the third floor. | On the third floor you find her office.
The film was long and boring. | It was a long, boring film.
Birds fly south in winter. | In winter birds move to the south.
The road is closed because of ice. | Because of ice the road is closed.
He drinks tea with milk. | He takes milk in his tea.
The phone is ringing. | Someone is calling, the phone rings.
We need more paper for the printer. | The printer needs more paper.
The farmer feeds the horses. | The horses are fed by the farmer.
Her answer surprised everybody. | Everybody was surprised by her answer.
The bus was full of people. | Many people were on the bus.
He painted the wall green. | The wall was painted green by him.
The exam starts in ten minutes. | In ten minutes the exam begins.
They sold their house last year. | Last year they sold the house.
The river is deep and cold. | Deep and cold is the river.
My shoes are wet. | I have wet shoes.
The library has a thousand books. | There are a thousand books in the library.
She sings in a choir. | She is a singer in a choir.
The moon is bright tonight. | Tonight the moon shines brightly.
He fixed the bicycle. | The bicycle was fixed by him.
The kitchen smells of garlic. | There is a smell of garlic in the kitchen.
Our team won the match. | The match was won by our team.
`;

/** [a sentence, a paraphrase of it, another sentence], a hundred times, for embeddings. */
export const TRIPLES: readonly (readonly [string, string, string])[] = [
  ...ofEverydayLife(),
  ...ofTheModelsTasks(),
];

/** Each sentence beside its paraphrase and beside one about something else, fifty times. */
function ofEverydayLife(): [string, string, string][] {
  const pairs = EVERYDAY.trim()
    .split("\n")
    .map((line) => line.trim().split(" | "));
  return pairs.map(([one = "", same = ""], i) => [
    one,
    same,
    pairs[(i + 17) % pairs.length]?.[0] ?? "",
  ]);
}

/** Ten questions of five kinds; the other sentence is of another kind. */
function ofTheModelsTasks(): [string, string, string][] {
  const countries = Object.keys(words.countries);
  const names = words.heldout.names.split(" ");
  const things = words.heldout.words.split(" ");
  return Array.from({ length: 10 }, (_, i) => {
    const [country, other] = [countries[i * 5] ?? "", countries[i * 4 + 3] ?? ""];
    const [name, thing, a] = [names[i] ?? "", things[i * 5] ?? "", 13 + 8 * i];
    const five: [string, string, string][] = [
      [`What is the capital of ${country}?`, `Name the capital of ${country}.`, `Say: ${thing}`],
      [`My name is ${name}.`, `I am ${name}.`, `What is the capital of ${other}?`],
      [`What is ${a} + 4?`, `How much is ${a} plus 4?`, `Tell me a story about a ${thing}.`],
      [`Repeat after me: ${thing}`, `Please repeat: ${thing}`, `What is the weather in ${other}?`],
      [`Tell me a story about ${name}.`, `Write a story about ${name}.`, `Count to ${a}.`],
    ];
    return five;
  }).flat();
}
