/** Puts an item where its age belongs in a list that is ordered by age, the oldest first. */
export function insertByAge<T>(items: T[], item: T, age: (item: T) => number): void {
  let index = items.length;
  for (; index > 0; index--) {
    const before = items[index - 1];
    if (before === undefined || age(before) < age(item)) break;
  }
  items.splice(index, 0, item);
}
