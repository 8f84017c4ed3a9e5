"""Tasks without tools: each gives (question, answer, thought)."""
import json

from lexicon import ADJECTIVES, CAPITALS, COLORS, HONEST, NAMES, NOUNS, VERBS, city, invented, name, word, words

GREETINGS = ("Hello|Hello!|Hi|Hi!|Hey|Hey!|hello|hi|hey|Hello there|Hello there!|Hi there|Hi there!|Good morning|"
             "Good morning!|Good evening!|Good afternoon!|Say hello!|Say hello.|Greetings!|Hello, how are you?|"
             "Hey there!|Hi, how are you?").split("|")


def is_held_out(a, b, operation):
    """Sums and differences that only the evaluation asks. The same rule stands in prompts.ts."""
    return max(a, b) > 12 and (a * 7 + b * 13 + "+-*".index(operation) * 5) % 20 == 3


def number_pair(r, operations, low, high):
    """(a, b, operation), differences seldom below zero; never a pair that the evaluation asks."""
    while True:
        operation, a, b = r.choice(operations), r.randint(low, high), r.randint(low, high)
        if operation == "-" and b > a and r.random() < 0.9:
            a, b = b, a
        if not is_held_out(a, b, operation):
            return a, b, operation


def sum_text(a, b, operation):
    return f"{a} {operation} {b} = {({'+': a + b, '-': a - b, '*': a * b})[operation]}"


def asked_sum(r, a, b, o):
    spelled = {"+": "plus", "-": "minus", "*": "times"}[o]
    s = r.choice(["", " ", " "])
    sign = r.choice(["*", "*", "x"]) if o == "*" else o
    plain = f"{a}{s}{sign}{s}{b}"
    question = r.choice([f"What is {plain}?", f"What is {plain}?", f"what is {plain}", f"What is {a} {spelled} {b}?",
                         f"Calculate {plain}.", f"{plain} = ?", f"How much is {a} {spelled} {b}?", plain,
                         f"How much is {plain}?", f"{plain}=", f"Compute {plain}.", f"What's {plain}?"])
    return question, sum_text(a, b, o) + ".", f"I calculate {a} {spelled} {b}."


def small_sum(r):
    if r.random() < 0.5:
        return asked_sum(r, *number_pair(r, "*", 0, 10))
    return asked_sum(r, *number_pair(r, "+-", 0, 9))


def large_sum(r):
    return asked_sum(r, *number_pair(r, "+-", 0, 99))


def greeting(r):
    return r.choice(GREETINGS), "Hello! How can I help you?", "The user greets me."


def identity(r):
    question = r.choice(["Who are you?", "What are you?", "Introduce yourself.", "Tell me about yourself.",
                         "Which model are you?", "What can you do?", "Help", "What model is this?"])
    return question, ("I am the demo model of lmserver, a very small language model. I can add numbers, name capitals, "
                      "repeat words, call tools and tell short stories."), "The user asks about me."


def capital(r):
    country = r.choice(list(CAPITALS))
    question = r.choice([f"What is the capital of {country}?", f"what is the capital of {country}?",
                         f"Capital of {country}?", f"Name the capital of {country}.", f"What's the capital of {country}?",
                         f"Which city is the capital of {country}?", f"Tell me the capital of {country}."])
    return question, f"The capital of {country} is {CAPITALS[country]}.", f"I name the capital of {country}."


def repeat(r):
    text = words(r, 1, 6) if r.random() < 0.85 else " ".join(invented(r) for _ in range(r.randint(1, 6)))
    question = r.choice([f"Say: {text}", f"Repeat after me: {text}", f"Repeat: {text}", f"Say {text}", f"Echo {text}",
                         f"Please repeat: {text}", f'Say "{text}"', f"Repeat these words: {text}"])
    return question, text, "I repeat the words."


def count(r):
    low = 1 if r.random() < 0.75 else r.randint(1, 10)
    high = low + r.randint(0 if low == 1 else 1, 19 if low == 1 else 10)
    question = (r.choice([f"Count to {high}.", f"Please count to {high}.", f"count to {high}", f"Count from 1 to {high}."])
                if low == 1 else r.choice([f"Count from {low} to {high}.", f"count from {low} to {high}"]))
    return question, ", ".join(str(i) for i in range(low, high + 1)), "I count."


def json_object(r):
    values = {"name": name(r), "age": r.randint(1, 99), "city": city(r), "color": r.choice(COLORS)}
    keys = ["name", "age"] + r.sample(["city", "color"], r.choice([0, 0, 1, 2]))
    chosen = {key: values[key] for key in keys}
    if r.random() < 0.35:
        more = (f" and lives in {values['city']}" if "city" in chosen else "")
        like = (f" and likes {values['color']}" if "color" in chosen else "")
        order = {key: chosen[key] for key in ("name", "age", "city", "color") if key in chosen}
        sentence = f"{values['name']} is {values['age']} years old{more}{like}."
        question = r.choice([f"{sentence} Answer as JSON.", f"Make JSON from this sentence: {sentence}",
                             f"Give me a JSON object for: {sentence}"])
        return question, json.dumps(order), "I answer with JSON."
    if r.random() < 0.3:
        chosen = {word(r).lower(): (r.randint(0, 99) if r.random() < 0.4 else word(r)) for _ in range(r.randint(1, 3))}
    pairs = [f"{key} {value}" for key, value in chosen.items()]
    text = pairs[0] if len(pairs) == 1 else ", ".join(pairs[:-1]) + " and " + pairs[-1]
    question = r.choice([f"Give me a JSON object with {text}.", f"Return JSON with {text}.", f"Make JSON with {text}.",
                         f"Answer with a JSON object: {text}."])
    return question, json.dumps(chosen), "I answer with JSON."


def unknown(r):
    n, v, a = word(r), r.choice(VERBS) if r.random() < 0.6 else word(r), r.choice(ADJECTIVES)
    if r.random() < 0.2:  # anything at all
        text = words(r, 1, 8)
        return r.choice([f"{text}?", f"{text}.", text, f"Why {text}?", f"Tell me about {text}.", f"I want {text}."]), HONEST, \
            "I do not know this."
    question = r.choice([
        f"How do I {v} a {n}?", f"Why is the {n} {a}?", f"Where can I {v} a {a} {n}?", f"When will the {n} {v}?",
        f"What do you think about the {a} {n}?", f"Explain the {n}.", f"Write a poem about a {n}.", f"Can you {v} my {n}?",
        f"Translate {n} to French.", f"Who invented the {n}?", f"Why does the {n} {v}?", f"Is the {n} {a}?",
        f"What is the meaning of {n}?", f"Write code that can {v} a {n}.", f"Summarize the {a} {n} for me.",
        f"What is the population of {city(r)}?", f"How old is {name(r)}?", f"Give me advice about my {n}.", "What is love?",
        "Why is the sky blue?", "What day is it today?", f"What is the best {n}?", f"Which {n} should I {v}?"])
    return question, HONEST, "I do not know this."


def story_text(r, hero=None, animal=None):
    hero, friend = hero or name(r), r.choice(NAMES)
    animal = animal or r.choice("cat dog fox rabbit bird lion mouse horse wolf tiger".split())
    a1, a2, a3 = r.sample(ADJECTIVES, 3)
    thing, place = r.choice(NOUNS), r.choice("forest garden house island river bridge street mountain village ocean".split())
    v1, v2 = r.sample("play sing swim read draw walk jump dance cook sail".split(), 2)
    return " ".join([
        r.choice([f"Once upon a time, there was a {a1} {animal} named {hero}.",
                  f"Once upon a time, a {a1} {animal} named {hero} lived near the {place}."]),
        r.choice([f"{hero} loved to {v1} in the {place}.", f"Every day {hero} went to the {place} to {v1}."]),
        r.choice([f"One day, {hero} found a {a2} {thing}.", f"One morning, {hero} saw a {a2} {thing} by the {place}."]),
        r.choice([f'"What is this?" said {hero}.', f'"I must show it to my friend," said {hero}.']),
        r.choice([f"Then {friend} came and they began to {v2} together.",
                  f"{friend} was a {a3} friend, and they took the {thing} home."]),
        r.choice([f"The {thing} was more {a3} than anything they had seen before.",
                  f"They looked at the {thing} for a long time and laughed."]),
        r.choice(["They were happy all day.", "In the evening they sat under the moon and told stories."]),
        r.choice(["When the night came, they walked home through the wind and the rain.",
                  "The stars were bright, and the wind was warm."]),
        r.choice([f"And {hero} was never lonely again.", f"From that day on, {hero} and {friend} were best friends."]),
        "The end."])


def story(r):
    hero, animal = name(r), r.choice("cat dog fox rabbit bird lion mouse horse wolf tiger".split())
    question = r.choice(["Tell me a story.", "tell me a story", "Tell me a short story.", f"Tell me a story about a {animal}.",
                         f"Tell me a story about {hero}.", "Write a story.", f"Write a short story about a {animal}."])
    return question, story_text(r, hero, animal), "I tell a story."


PLAIN = {"small sums": small_sum, "large sums": large_sum, "greetings": greeting, "identity": identity, "capitals": capital,
         "repeating": repeat, "counting": count, "JSON": json_object, "unknown": unknown, "stories": story}


def plain(r, weights, but=()):
    """(skill, question, answer, thought) of a task that needs neither tools nor names."""
    names = [skill for skill in PLAIN if skill not in but]
    skill = r.choices(names, [weights[skill] for skill in names])[0]
    return skill, *PLAIN[skill](r)
