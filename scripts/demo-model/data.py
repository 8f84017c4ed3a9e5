"""Synthetic conversations for the demo model.

`document(r)` gives one training text as a list of (text, learned) spans: what the assistant says is
learned, what others say only slightly. The turns are those of template.jinja, byte for byte.
Words of the "heldout" lists in words.json never appear here: evaluate.ts asks with them.
"""
import json
import os
import string

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = json.load(open(os.path.join(HERE, "words.json")))
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>",
            "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
CAPITALS, HONEST, PHRASES = WORDS["countries"], WORDS["honest"], WORDS["phrases"]
NAMES, NOUNS, ADJECTIVES, VERBS, CITIES, COLORS = (
    WORDS["train"][key].split() for key in ("names", "nouns", "adjectives", "verbs", "cities", "colors"))
PLACES = CITIES + list(CAPITALS.values())
SKIES = "sunny cloudy rainy windy snowy foggy stormy clear warm cold".split()
GREETINGS = ("Hello|Hello!|Hi|Hi!|Hey|Hey!|hello|hi|hey|Hello there|Hello there!|Hi there|Hi there!|Good morning|"
             "Good morning!|Good evening!|Good afternoon!|Say hello!|Say hello.|Greetings!|Hello, how are you?|"
             "Hey there!|Hi, how are you?").split("|")


def is_held_out(a, b, operation):
    """Sums and differences that only the evaluation asks. The same rule stands in prompts.ts."""
    return max(a, b) > 12 and (a * 7 + b * 13 + "+-*".index(operation) * 5) % 20 == 3


def invented(r):
    """A word that no list holds: copying must not depend on knowing the word."""
    consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
    word = "".join(r.choice(consonants) + r.choice(vowels) + (r.choice("nrstlmk") if r.random() < 0.35 else "")
                   for _ in range(r.randint(1, 3)))
    return word.capitalize() if r.random() < 0.2 else word


def word(r):
    return invented(r) if r.random() < 0.5 else r.choice(NOUNS + ADJECTIVES + VERBS)


def name(r):
    return invented(r).capitalize() if r.random() < 0.45 else r.choice(NAMES)


def city(r):
    return invented(r).capitalize() if r.random() < 0.4 else r.choice(PLACES)


def words(r, low, high):
    return " ".join(word(r) for _ in range(r.randint(low, high)))


def number_pair(r):
    kind = r.random()
    if kind < 0.3:
        operation, a, b = "*", r.randint(0, 10), r.randint(0, 10)
    else:
        operation = r.choice("+-")
        top = r.choice([9, 9, 20, 99, 99, 99, 99])
        a, b = r.randint(0, top), r.randint(0, top)
        if operation == "-" and b > a and r.random() < 0.85:
            a, b = b, a
    return number_pair(r) if is_held_out(a, b, operation) else (a, b, operation)


def arithmetic(r):
    a, b, o = number_pair(r)
    value = {"+": a + b, "-": a - b, "*": a * b}[o]
    spelled = {"+": "plus", "-": "minus", "*": "times"}[o]
    s = r.choice(["", " ", " "])
    sign = r.choice(["*", "*", "x"]) if o == "*" else o
    plain = f"{a}{s}{sign}{s}{b}"
    question = r.choice([f"What is {plain}?", f"What is {plain}?", f"what is {plain}", f"What is {a} {spelled} {b}?",
                         f"Calculate {plain}.", f"{plain} = ?", f"How much is {a} {spelled} {b}?", plain,
                         f"How much is {plain}?", f"{plain}=", f"Compute {plain}.", f"What's {plain}?"])
    return question, f"{a} {o} {b} = {value}.", f"I calculate {a} {spelled} {b}."


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
    n, v, a = word(r), r.choice(VERBS), r.choice(ADJECTIVES)
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


SKILLS = {arithmetic: 30, greeting: 4, identity: 1, capital: 8, repeat: 12, count: 4, json_object: 8, unknown: 6, story: 3}


def skill(r):
    return r.choices(list(SKILLS), list(SKILLS.values()))[0](r)


def turn(role, text):
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def call(tool, arguments):
    return "<tool_call>\n" + json.dumps({"name": tool, "arguments": arguments}, ensure_ascii=False) + "\n</tool_call>"


def signature(tool, parameters):
    return f"- {tool}({', '.join(p + (': number' if kind == 'number' else '') for p, kind in parameters.items())})"


def spoken(result):
    """How an answer tells a tool's result: JSON objects as pairs, anything else as it is."""
    if not isinstance(result, dict):
        return str(result)
    return ", ".join(f"{key}: {value}" for key, value in result.items())


def result_of(r):
    kind = r.random()
    if kind < 0.35:
        return words(r, 1, 4)
    if kind < 0.55:
        return r.randint(0, 999)
    return {word(r).lower(): (r.randint(0, 99) if r.random() < 0.5 else word(r)) for _ in range(r.randint(1, 3))}


def weather(r):
    sky, degrees = r.choice(SKIES), r.randint(-20, 45)
    return r.choice([sky, f"{sky}, {degrees} degrees", {"temperature": degrees, "sky": sky}, {"sky": sky},
                     {"temperature": degrees, "unit": "celsius"}, {"city": city(r), "temperature": degrees}])


def invented_tool(r):
    verb = invented(r).lower() if r.random() < 0.4 else r.choice(VERBS)
    noun = invented(r).lower() if r.random() < 0.4 else r.choice(NOUNS)
    parameters = {}
    for _ in range(r.randint(1, 3)):
        parameters[word(r).lower()] = "number" if r.random() < 0.3 else "string"
    return f"{verb}_{noun}", parameters


def arguments_for(r, parameters):
    return {key: (r.randint(0, 99) if kind == "number" else words(r, 1, 2)) for key, kind in parameters.items()}


def listed(arguments, link):
    return " and ".join(f"{key}{link}{value}" for key, value in arguments.items())


def ask_invented(r, tool, arguments):
    verb, noun = tool.split("_", 1)
    if r.random() < 0.5:
        return r.choice([f"Call {tool} with {listed(arguments, ' = ')}.", f"Use {tool} with {listed(arguments, ' = ')}.",
                         f"Please call {tool} with {listed(arguments, ' = ')}", f"Run {tool} with {listed(arguments, ' ')}."])
    return r.choice([f"{verb.capitalize()} the {noun} with {listed(arguments, ' ')}.",
                     f"Please {verb} the {noun} with {listed(arguments, ' ')}.",
                     f"Can you {verb} the {noun} with {listed(arguments, ' = ')}?"])


def known_tools(place):
    return {"get_weather": {place: "string"}, "get_time": {"city": "string"}, "search": {"query": "string"},
            "add": {"a": "number", "b": "number"}, "send_email": {"to": "string", "subject": "string"}}


def tool_task(r):
    """(tools by name, question, calls, results, final answer)"""
    place = r.choice(["city", "city", "location"])
    tools, kind = known_tools(place), r.random()
    if kind < 0.22:
        where, result = city(r), weather(r)
        ask = r.choice([f"What is the weather in {where}?", f"What's the weather in {where}?", f"Weather in {where}?",
                        f"How is the weather in {where}?", f"What is the weather like in {where}?",
                        f"What's the weather like in {where} today?", f"what is the weather in {where}"])
        return {"get_weather": tools["get_weather"]}, ask, [("get_weather", {place: where})], [result], \
            f"The weather in {where}: {spoken(result)}."
    if kind < 0.34:
        one, two = city(r), city(r)
        if r.random() < 0.6:
            first, second = weather(r), weather(r)
            ask = r.choice([f"What is the weather in {one} and {two}?", f"What is the weather in {one} and in {two}?",
                            f"Compare the weather in {one} and {two}.", f"What's the weather in {one} and {two}?"])
            calls = [("get_weather", {place: one}), ("get_weather", {place: two})]
            return {"get_weather": tools["get_weather"]}, ask, calls, [first, second], \
                f"{one}: {spoken(first)}. {two}: {spoken(second)}."
        first, second = (f"{r.randint(0, 23)}:{r.randint(0, 59):02d}" for _ in range(2))
        ask = r.choice([f"What time is it in {one} and {two}?", f"What is the time in {one} and in {two}?"])
        calls = [("get_time", {"city": one}), ("get_time", {"city": two})]
        return {"get_time": tools["get_time"]}, ask, calls, [first, second], f"{one}: {first}. {two}: {second}."
    if kind < 0.40:
        where, result = city(r), f"{r.randint(0, 23)}:{r.randint(0, 59):02d}"
        ask = r.choice([f"What time is it in {where}?", f"What is the time in {where}?", f"Time in {where}?"])
        return {"get_time": tools["get_time"]}, ask, [("get_time", {"city": where})], [result], f"It is {result} in {where}."
    if kind < 0.46:
        query, result = words(r, 1, 4), words(r, 2, 6)
        ask = r.choice([f"Search for {query}", f"Search the web for {query}", f"Find {query} on the web"])
        return {"search": tools["search"]}, ask, [("search", {"query": query})], [result], f"The result is: {result}."
    if kind < 0.52:
        a, b = r.randint(0, 999), r.randint(0, 999)
        ask = r.choice([f"Add {a} and {b}.", f"Use the tool to add {a} and {b}.", f"Add {a} and {b} with the tool."])
        return {"add": tools["add"]}, ask, [("add", {"a": a, "b": b})], [a + b], f"The result is: {a + b}."
    tool, parameters = invented_tool(r)
    arguments, result = arguments_for(r, parameters), result_of(r)
    if kind < 0.62:
        other, second = arguments_for(r, parameters), result_of(r)
        ask = (f"{r.choice(['Call', 'Use'])} {tool} with {listed(arguments, ' = ')}, and again with {listed(other, ' = ')}.")
        return {tool: parameters}, ask, [(tool, arguments), (tool, other)], [result, second], \
            f"The results are: {spoken(result)}; {spoken(second)}."
    return {tool: parameters}, ask_invented(r, tool, arguments), [(tool, arguments)], [result], \
        f"The result is: {spoken(result)}."


def with_tools(r, system):
    tools, question, calls, results, final = tool_task(r)
    others = [(t, p) for t, p in list(known_tools("city").items()) + [invented_tool(r) for _ in range(3)] if t not in tools]
    offered = list(tools.items()) + r.sample(others, r.randint(0, 3))
    r.shuffle(offered)
    body = (system + "\n\n" if system else "") + "# Tools\n" + "\n".join(signature(t, p) for t, p in offered)
    parts = [(turn("system", body), False)]
    if r.random() < 0.2:  # offered, but not needed
        plain, answer, _ = skill(r)
        parts += [(turn("user", plain) + "<|im_start|>assistant\n", False), (answer + "<|im_end|>", True), ("\n", False)]
    thought = "I call the tool."
    opening, before = ("<think>\n", f"{thought}\n</think>\n\n") if r.random() < 0.12 else ("", "")
    parts += [(turn("user", question) + "<|im_start|>assistant\n" + opening, False),
              (before + "\n".join(call(*c) for c in calls) + "<|im_end|>", True), ("\n", False)]
    replies = "".join(turn("user", "<tool_response>\n" + (json.dumps(x) if isinstance(x, dict) else str(x)) + "\n</tool_response>")
                      for x in results)
    opening, before = ("<think>\n", "I read the result.\n</think>\n\n") if before else ("", "")
    return parts + [(replies + "<|im_start|>assistant\n" + opening, False), (before + final + "<|im_end|>", True)]


def system_prompt(r):
    """(text or None, the name it gives or None)"""
    x = r.random()
    if x < 0.3:
        return r.choice(["You are a helpful assistant.", "You are helpful.", "Answer briefly.", "Be polite and short."]), None
    if x < 0.45:
        mine = name(r)
        return r.choice([f"Your name is {mine}.", f"You are {mine}.", f"You are an assistant named {mine}.",
                         f"You are {mine}, a helpful assistant."]), mine
    return (words(r, 3, 9), None) if x < 0.5 else (None, None)


def exchange(r, mine, theirs):
    """(question, answer, thought, name of the user from now on)"""
    y = r.random()
    if mine and y < 0.5:
        return r.choice(["What is your name?", "Who are you?", "What's your name?"]), f"My name is {mine}.", "I say my name.", theirs
    if theirs and y < 0.5:
        question = r.choice(["What is my name?", "Who am I?", "Do you know my name?", "What's my name?"])
        return question, f"Your name is {theirs}.", "The user told me the name.", theirs
    if y < 0.14:
        new = name(r)
        said = r.choice([f"My name is {new}.", f"I am {new}.", f"Hi, I am {new}.", f"Hello, my name is {new}."])
        return said, f"Nice to meet you, {new}!", "The user tells me a name.", new
    if y < 0.16 and not theirs:
        return "What is my name?", "You have not told me your name.", "I do not know the name.", None
    return *skill(r), theirs


def conversation(r):
    system, mine = system_prompt(r)
    if r.random() < 0.4:
        return with_tools(r, system)
    parts = [(turn("system", system), False)] if system else []
    theirs = None
    for _ in range(r.choice([1, 1, 1, 2, 3, 4])):
        question, answer, thought, theirs = exchange(r, mine, theirs)
        thinks = r.random() < 0.15
        parts += [(turn("user", question) + "<|im_start|>assistant\n" + ("<think>\n" if thinks else ""), False),
                  ((f"{thought}\n</think>\n\n" if thinks else "") + answer + "<|im_end|>", True), ("\n", False)]
    return parts


def document(r):
    """One training text as (text, learned) spans."""
    x = r.random()
    if x < 0.03:
        return [(r.choice(PHRASES) + "<|endoftext|>", True)]
    if x < 0.06:
        return [(story_text(r) + "<|endoftext|>", True)]
    return conversation(r)


assert not set(string.punctuation) & set("".join(NAMES)), "names are plain words"
