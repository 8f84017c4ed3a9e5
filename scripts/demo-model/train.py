"""Trains the demo model on a CPU or a GPU: train.py OUT_DIR --minutes M [--resume].

Writes OUT_DIR/{merges.json,config.json,state.pt,log.txt}, every two minutes and when a signal ends it. Documents of
similar length share a batch, so that nothing is padded much and no document sees another; only what the assistant says
is learned. Each answer of a batch is checked before it is learned from: skills that still fail are drawn more often.
Matrices learn by Muon (momentum made orthogonal), the rest by AdamW; the rate stays and falls to zero in the last
third. Time is the processor's, so that a busy machine delays the training and does not shorten it.
"""
import argparse
import collections
import json
import math
import os
import random
import signal
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("KMP_BLOCKTIME", "0")

import torch
import torch.nn.functional as F

import data
import tokenizer
from model import Model

CONFIG = dict(layers=6, width=128, heads=4, hidden=384, vocabulary=512, context=2048, longest=640,
              rope_base=10000.0, epsilon=1e-6, tokens_per_batch=4096, matrix_rate=0.02, other_rate=0.004, seed=7)
MERGES = CONFIG["vocabulary"] - 256 - len(data.SPECIALS) - 7


class Muon:
    """Momentum whose update is made orthogonal by Newton-Schulz steps (K. Jordan, 2024)."""

    def __init__(self, weights, momentum=0.95):
        self.weights, self.momentum = weights, momentum
        self.velocity = [torch.zeros_like(w) for w in weights]

    @torch.no_grad()
    def step(self, rate):
        for w, v in zip(self.weights, self.velocity):
            v.lerp_(w.grad, 1 - self.momentum)
            update = self.orthogonal(torch.lerp(w.grad, v, self.momentum))
            w.mul_(1 - rate * 0.01).add_(update, alpha=-rate * math.sqrt(max(1, w.shape[0] / w.shape[1])))

    @staticmethod
    def orthogonal(x):
        flip = x.shape[0] > x.shape[1]
        x = x.mT if flip else x
        x = x / (x.norm() + 1e-7)
        for _ in range(5):
            a = x @ x.mT
            x = torch.addmm(x, torch.addmm(a, a, a, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
        return x.mT if flip else x


def encoded(coder, spans):
    """(ids, for each id the number of its span or -1 when given, skill of each learned span)"""
    ids, owner, skills = [], [], []
    for text, skill in spans:
        part = coder.encode(text)
        ids += part
        owner += [-1 if skill is None else len(skills)] * len(part)
        if skill is not None:
            skills.append(skill)
    return ids, owner, skills


def batches(coder, r, scores):
    """Endless (ids [B, T], places to predict from, their targets, span of each, skill of each span)."""
    while True:
        weights = scores.weights()
        pool = [encoded(coder, data.document(r, weights)) for _ in range(1500)]
        pool = sorted((doc for doc in pool if len(doc[0]) <= CONFIG["longest"]), key=lambda doc: len(doc[0]))
        groups, group = [], []
        for doc in pool:
            if group and (len(group) + 1) * len(doc[0]) > CONFIG["tokens_per_batch"]:
                groups.append(group)
                group = []
            group.append(doc)
        r.shuffle(groups)
        yield from map(batch, groups)


def batch(group):
    longest = max(len(ids) for ids, _, _ in group) - 1
    rows = torch.zeros(len(group), longest, dtype=torch.long)
    places, targets, spans, skills = [], [], [], []
    for row, (ids, owner, named) in enumerate(group):
        rows[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        for at, span in enumerate(owner[1:]):
            if span >= 0:
                places.append(row * longest + at)
                targets.append(ids[at + 1])
                spans.append(len(skills) + span)
        skills += named
    return rows, torch.tensor(places), torch.tensor(targets), torch.tensor(spans), skills


class Scores:
    """Running share of fresh answers that were right, token by token, for each skill."""

    GROUP = {"one call": "tools", "two calls": "tools", "tool results": "tools"}

    def __init__(self):
        self.right = {}

    def add(self, skills, is_right):
        sums = collections.defaultdict(list)
        for skill, right in zip(skills, is_right):
            sums[skill].append(right)
        for skill, list_ in sums.items():
            keep = 0.98 ** len(list_)
            self.right[skill] = keep * self.right.get(skill, 0.0) + (1 - keep) * sum(list_) / len(list_)

    def weights(self):
        """data.WEIGHTS, up to four times as much of what fails, copying before all else; stories and phrases have no one right answer."""
        wrong = {}
        for skill, right in self.right.items():
            group = self.GROUP.get(skill, skill)
            wrong[group] = max(wrong.get(group, 0), 1 - right)
        wrong["stories"] = wrong["phrases"] = 0.0
        first = {"copying": 6, "repeating": 2} if self.right.get("copying", 0) < 0.5 else {}
        return {kind: weight * first.get(kind, 1) * (0.25 + min(0.75, 3 * wrong.get(kind, 1.0)))
                for kind, weight in data.WEIGHTS.items()}

    def __str__(self):
        return " ".join(f"{skill.replace(' ', '_')}={100 * right:.0f}" for skill, right in sorted(self.right.items()))


def make_tokenizer(folder):
    path = os.path.join(folder, "merges.json")
    if not os.path.exists(path):
        r = random.Random(CONFIG["seed"])
        texts = ["".join(text for text, _ in data.document(r)) for _ in range(4000)]
        with open(path, "w") as file:
            json.dump(tokenizer.learn_merges(texts, data.SPECIALS, MERGES), file)
    return tokenizer.Tokenizer(json.load(open(path)), data.SPECIALS, CONFIG["vocabulary"])


def main():
    options = argparse.ArgumentParser()
    options.add_argument("out")
    options.add_argument("--minutes", type=float, default=100, help="processor time, all threads together")
    options.add_argument("--resume", action="store_true")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--compile", action="store_true", help="a third faster after two minutes; needs a C++ compiler")
    given = options.parse_args()
    os.makedirs(given.out, exist_ok=True)
    torch.manual_seed(CONFIG["seed"])
    torch.set_num_threads(given.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    coder, scores = make_tokenizer(given.out), Scores()
    model = Model(CONFIG).to(device)
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embedding" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() < 2 or "embedding" in n]
    muon, adam = Muon(matrices), torch.optim.AdamW(others, lr=1, betas=(0.9, 0.98), weight_decay=0.0)
    state_path = os.path.join(given.out, "state.pt")
    used, tokens, step, average = 0.0, 0, 0, None
    if given.resume:
        state = torch.load(state_path, map_location=device)
        model.load_state_dict(state["model"])
        adam.load_state_dict(state["adam"])
        muon.velocity, scores.right = state["velocity"], state["right"]
        used, tokens, step, average = state["used"], state["tokens"], state["step"], state["average"]

    def save(used):
        torch.save(dict(model=model.state_dict(), adam=adam.state_dict(), velocity=muon.velocity, right=scores.right,
                        used=used, tokens=tokens, step=step, average=average), state_path + ".new")
        os.replace(state_path + ".new", state_path)
        with open(os.path.join(given.out, "config.json"), "w") as file:
            json.dump(dict(CONFIG, parameters=sum(p.numel() for p in model.parameters()), tokens=tokens, steps=step,
                           loss=round(average, 4), device=device, processor_minutes=round(used / 60, 1), notes=[]), file)

    forward = torch.compile(model, dynamic=True) if given.compile else model
    log, begun, saved = open(os.path.join(given.out, "log.txt"), "a"), time.process_time() - used, used
    asked = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.append(1))
    for ids, places, targets, spans, skills in batches(coder, random.Random(time.time()), scores):
        used = time.process_time() - begun
        done = used / (given.minutes * 60)
        if done >= 1 or asked:
            break
        fall = min(1, (step + 1) / 50, (1 - done) / 0.35)
        ids, places, targets, spans = (t.to(device) for t in (ids, places, targets, spans))
        for tensor, dimension in ((ids, 0), (ids, 1), (places, 0)):
            torch._dynamo.mark_dynamic(tensor, dimension)
        logits = forward(ids, places)
        loss = F.cross_entropy(logits, targets)
        loss.backward()
        muon.step(CONFIG["matrix_rate"] * fall)
        for group in adam.param_groups:
            group["lr"] = CONFIG["other_rate"] * fall
        adam.step()
        model.zero_grad(set_to_none=True)
        right = torch.ones(len(skills), device=device).scatter_reduce(
            0, spans, (logits.detach().argmax(-1) == targets).float(), "amin")
        scores.add(skills, right.tolist())
        tokens, step = tokens + ids.numel(), step + 1
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()
        if step % 50 == 0:
            line = f"step {step} loss {average:.4f} tokens {tokens / 1e6:.2f}M cpu {used:.0f}s {100 * done:.0f}% | {scores}"
            print(line, flush=True)
            print(line, file=log, flush=True)
        if used - saved > 120:
            save(used)
            saved = used
    save(used)


if __name__ == "__main__":
    main()
