"""Tasks with tools: what is offered, asked, called, returned and answered, in the notation of template.jinja."""
import json

from lexicon import NOUNS, VERBS, city, invented, word, words

SKIES = "sunny cloudy rainy windy snowy foggy stormy clear warm cold".split()


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
    if kind < 0.57:
        other, more = invented_tool(r)
        if other != tool:
            filled, second = arguments_for(r, more), result_of(r)
            ask = f"{r.choice(['Call', 'Use'])} {tool} with {listed(arguments, ' = ')}, and {other} with {listed(filled, ' = ')}."
            return {tool: parameters, other: more}, ask, [(tool, arguments), (other, filled)], [result, second], \
                f"The results are: {spoken(result)}; {spoken(second)}."
    if kind < 0.63:
        other, second = arguments_for(r, parameters), result_of(r)
        ask = (f"{r.choice(['Call', 'Use'])} {tool} with {listed(arguments, ' = ')}, and again with {listed(other, ' = ')}.")
        return {tool: parameters}, ask, [(tool, arguments), (tool, other)], [result, second], \
            f"The results are: {spoken(result)}; {spoken(second)}."
    return {tool: parameters}, ask_invented(r, tool, arguments), [(tool, arguments)], [result], \
        f"The result is: {spoken(result)}."
