"""Synthetic conversations for the demo model.

`document(r)` gives one training text as a list of (text, skill) spans: what the assistant says is learned and belongs
to a skill, what others say is given. The turns are those of template.jinja, byte for byte.
"""
import json

from lexicon import HONEST, PHRASES, city, name, words
from skills import PLAIN, number_pair, plain, story_text, sum_text
from tool_tasks import call, invented_tool, known_tools, signature, tool_task

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>",
            "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]


def turn(role, text):
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def with_tools(r, system, weights):
    tools, question, calls, results, final = tool_task(r)
    others = [(t, p) for t, p in list(known_tools("city").items()) + [invented_tool(r) for _ in range(3)] if t not in tools]
    offered = list(tools.items()) + r.sample(others, r.randint(0, 3))
    r.shuffle(offered)
    body = (system + "\n\n" if system else "") + "# Tools\n" + "\n".join(signature(t, p) for t, p in offered)
    parts = [(turn("system", body), None)]
    if r.random() < 0.15:  # offered, but not needed
        skill, asked, answer, _ = plain(r, weights, but=["stories"])
        parts += [(turn("user", asked) + "<|im_start|>assistant\n", None), (answer + "<|im_end|>", skill), ("\n", None)]
    thinks = r.random() < 0.1
    opening, before = ("<think>\n", "I call the tool.\n</think>\n\n") if thinks else ("", "")
    parts += [(turn("user", question) + "<|im_start|>assistant\n" + opening, None),
              (before + "\n".join(call(*c) for c in calls) + "<|im_end|>", "one call" if len(calls) == 1 else "two calls"),
              ("\n", None)]
    if r.random() < 0.4:
        return parts[:-1]
    replies = "".join(turn("user", "<tool_response>\n" + (json.dumps(x) if isinstance(x, dict) else str(x)) + "\n</tool_response>")
                      for x in results)
    opening, before = ("<think>\n", "I read the result.\n</think>\n\n") if thinks else ("", "")
    return parts + [(replies + "<|im_start|>assistant\n" + opening, None), (before + final + "<|im_end|>", "tool results")]


def system_prompt(r):
    x = r.random()
    if x < 0.15:
        return r.choice(["You are a helpful assistant.", "You are helpful.", "Answer briefly.", "Be polite and short."])
    return words(r, 3, 9) if x < 0.2 else None


def answered(r, question, answer, thought, skill):
    thinks = r.random() < 0.12
    return [(turn("user", question) + "<|im_start|>assistant\n" + ("<think>\n" if thinks else ""), None),
            ((f"{thought}\n</think>\n\n" if thinks else "") + answer + "<|im_end|>", skill), ("\n", None)]


def with_names(r, weights):
    """A conversation in which the system prompt names the assistant or the user tells a name, then asks for it."""
    parts, mine, theirs = [], None, None
    if r.random() < 0.5:
        mine = name(r)
        parts.append((turn("system", r.choice([f"Your name is {mine}.", f"You are {mine}.", f"You are an assistant named {mine}.",
                                               f"You are {mine}, a helpful assistant."])), None))
    elif r.random() < 0.2:
        parts.append((turn("system", system_prompt(r) or "Answer briefly."), None))
    for _ in range(r.choice([1, 2, 2, 3, 4]) if mine else r.choice([2, 2, 3, 4])):
        y = r.random()
        if not theirs and y < (0.2 if mine else 0.6):
            theirs = name(r)
            said = r.choice([f"My name is {theirs}.", f"I am {theirs}.", f"Hi, I am {theirs}.", f"Hello, my name is {theirs}."])
            parts += answered(r, said, f"Nice to meet you, {theirs}!", "The user tells me a name.", "names")
        elif mine and y < 0.6:
            asked = r.choice(["What is your name?", "Who are you?", "What's your name?"])
            parts += answered(r, asked, f"My name is {mine}.", "I say my name.", "names")
        elif y < (0.75 if theirs else 0.62):
            asked = r.choice(["What is my name?", "Who am I?", "Do you know my name?", "What's my name?"])
            told = f"Your name is {theirs}." if theirs else "You have not told me your name."
            parts += answered(r, asked, told, "The user told me the name." if theirs else "I do not know the name.", "names")
        else:
            skill, *task = plain(r, weights, but=["stories", "identity"])
            parts += answered(r, *task, skill)
    return parts


def copy_drill(r):
    """Words, and the same words again: the densest lesson in copying."""
    said = words(r, 2, 10)
    return [(said + r.choice([":", ".", "\n", " ="]) + " ", None), (said + "<|endoftext|>", "copying")]


def sum_drill(r):
    parts = []
    for _ in range(r.randint(4, 10)):
        small = r.random() < 0.2
        asked, value = sum_text(*number_pair(r, *(("+-*", 0, 10) if small else ("+-", 0, 99)))).rsplit(" ", 1)
        parts += [(asked + " ", None), (value + ".", "sums"), (" ", None)]
    return parts


def phrase(r):
    return [(r.choice(PHRASES) + "<|endoftext|>", "phrases")] if r.random() < 0.6 else [(story_text(r) + "<|endoftext|>", "stories")]


#: Share of each kind of document at the start; train.py raises those that are still answered wrongly.
WEIGHTS = {"small sums": 8.0, "large sums": 10.0, "greetings": 2.0, "identity": 1.0, "capitals": 6.0, "repeating": 12.0,
           "counting": 5.0, "JSON": 8.0, "unknown": 4.0, "stories": 4.0, "tools": 22.0, "names": 8.0, "copying": 6.0,
           "sums": 8.0, "phrases": 4.0}


def document(r, weights=None):
    """One training text as (text, skill) spans; spans whose skill is None are given, the others are learned."""
    weights = weights or WEIGHTS
    kind = r.choices(list(weights), list(weights.values()))[0]
    if kind in ("copying", "sums", "phrases"):
        return {"copying": copy_drill, "sums": sum_drill, "phrases": phrase}[kind](r)
    if kind == "names":
        return with_names(r, weights)
    system = system_prompt(r)
    if kind == "tools":
        return with_tools(r, system, weights)
    parts = [(turn("system", system), None)] if system else []
    if kind == "unknown" and r.random() < 0.15:  # no tool is offered for it
        task = r.choice([f"What is the weather in {city(r)}?", f"What time is it in {city(r)}?"]), HONEST, "I do not know this."
    else:
        task = PLAIN[kind](r)
    parts += answered(r, *task, kind)
    for _ in range(r.choice([0, 0, 1, 2])):
        skill, *task = plain(r, weights, but=["stories"])
        parts += answered(r, *task, skill)
    return parts
