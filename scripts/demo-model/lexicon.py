"""Words of the demo model's training, listed and invented.

Those of the "heldout" lists in words.json are left to evaluate.ts: nothing here says them, not even by chance.
"""
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = json.load(open(os.path.join(HERE, "words.json")))
CAPITALS, HONEST, PHRASES = WORDS["countries"], WORDS["honest"], WORDS["phrases"]
NAMES, NOUNS, ADJECTIVES, VERBS, CITIES, COLORS = (
    WORDS["train"][key].split() for key in ("names", "nouns", "adjectives", "verbs", "cities", "colors"))
PLACES = CITIES + list(CAPITALS.values())
#: Words of the questions and of the template: their tokens must be copied as well as any others.
SPOKEN = ("weather capital number country location subject email search query result system assistant user arguments "
          "calculate compute repeat please story object answer sentence return thinking count meaning population together "
          "advice summarize translate invented explain temperature degrees celsius").split()
SPELLINGS = [w.lower() for w in NAMES + NOUNS + ADJECTIVES + VERBS + CITIES + SPOKEN if len(w) > 2]
HELD_OUT = {w.lower() for held in WORDS["heldout"].values() for w in held.split()}


def invented(r):
    """A word that no list holds: copying must not depend on knowing the word."""
    style = r.random()
    if style < 0.4:  # two halves of known words: English without being it
        one, two = r.choice(SPELLINGS), r.choice(SPELLINGS)
        made = (one[:r.randint(1, 4)] + two[-r.randint(1, 6):])[:10]
    elif style < 0.7:
        consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
        made = "".join(r.choice(consonants) + r.choice(vowels) + (r.choice("nrstlmk") if r.random() < 0.35 else "")
                       for _ in range(r.randint(1, 3)))
    else:
        made = "".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(2, 8)))
    return invented(r) if made in HELD_OUT else made


def word(r):
    if r.random() < 0.7:
        made = invented(r)
        return made.capitalize() if r.random() < 0.12 else made
    return r.choice(NOUNS + ADJECTIVES + VERBS)


def name(r):
    return invented(r).capitalize() if r.random() < 0.7 else r.choice(NAMES)


def city(r):
    return invented(r).capitalize() if r.random() < 0.6 else r.choice(PLACES)


def words(r, low, high):
    """Words, now and then one of them twice in a row."""
    said = []
    for _ in range(r.randint(low, high)):
        said.append(said[-1] if said and r.random() < 0.06 else word(r))
    return " ".join(said)
