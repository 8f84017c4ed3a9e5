"""Trains the demo model, a small Llama, on a CPU or a GPU: train.py OUT_DIR --minutes M [--resume].

Writes OUT_DIR/{merges.json,config.json,model.pt,log.txt}. Documents of similar length share a batch, so
that nothing is padded much and no document sees another. Matrices learn by Muon (momentum made
orthogonal), embeddings and norms by AdamW; the learning rate falls to zero over the given time.
"""
import argparse
import json
import math
import os
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

import data
import tokenizer

CONFIG = dict(layers=5, width=192, heads=6, hidden=512, vocabulary=1024, context=2048, longest=640,
              rope_base=10000.0, epsilon=1e-5, tokens_per_batch=6144, seed=7)
MERGES = CONFIG["vocabulary"] - 256 - len(data.SPECIALS) - 16


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, CONFIG["epsilon"])


def rotate(x, cos, sin):
    """Rotary positions on neighbouring pairs, as llama.cpp's "llama" architecture has them."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        width, hidden = CONFIG["width"], CONFIG["hidden"]
        self.attn_norm, self.ffn_norm = Norm(width), Norm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x, cos, sin):
        b, t, width = x.shape
        y = self.attn_norm(x)
        q, k, v = (f(y).view(b, t, CONFIG["heads"], -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        a = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(b, t, width))
        y = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        width = CONFIG["width"]
        self.embedding = nn.Embedding(CONFIG["vocabulary"], width)
        self.blocks = nn.ModuleList(Block() for _ in range(CONFIG["layers"]))
        self.norm = Norm(width)
        nn.init.normal_(self.embedding.weight, std=0.05)
        for block in self.blocks:
            for layer in (block.o, block.down):
                nn.init.zeros_(layer.weight)
        half = width // CONFIG["heads"] // 2
        frequency = CONFIG["rope_base"] ** (-torch.arange(half) / half)
        angle = torch.arange(CONFIG["longest"] + 1)[:, None] * frequency
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids):
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, cos, sin)
        return F.linear(self.norm(x), self.embedding.weight)


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


def batches(coder, r, device):
    """Endless (ids [B, T], weights [B, T - 1]); assistant text weighs 1, other text 0.05, padding 0."""
    while True:
        pool = []
        for _ in range(3000):
            ids, weights = [], []
            for text, learned in data.document(r):
                part = coder.encode(text)
                ids += part
                weights += [1.0 if learned else 0.05] * len(part)
            if len(ids) <= CONFIG["longest"]:
                pool.append((ids, weights))
        pool.sort(key=lambda doc: len(doc[0]))
        groups, group = [], []
        for doc in pool:
            if group and (len(group) + 1) * len(doc[0]) > CONFIG["tokens_per_batch"]:
                groups.append(group)
                group = []
            group.append(doc)
        r.shuffle(groups)
        for group in groups:
            longest = max(len(ids) for ids, _ in group)
            ids = torch.zeros(len(group), longest, dtype=torch.long)
            weights = torch.zeros(len(group), longest)
            for row, (i, w) in enumerate(group):
                ids[row, : len(i)] = torch.tensor(i)
                weights[row, : len(w)] = torch.tensor(w)
            yield ids.to(device), weights[:, 1:].to(device)


def make_tokenizer(folder):
    path = os.path.join(folder, "merges.json")
    if not os.path.exists(path):
        r = random.Random(CONFIG["seed"])
        texts = ["".join(text for text, _ in data.document(r)) for _ in range(8000)]
        with open(path, "w") as file:
            json.dump(tokenizer.learn_merges(texts, data.SPECIALS, MERGES), file)
    return tokenizer.Tokenizer(json.load(open(path)), data.SPECIALS, CONFIG["vocabulary"])


def main():
    options = argparse.ArgumentParser()
    options.add_argument("out")
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--resume", action="store_true")
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    os.makedirs(given.out, exist_ok=True)
    torch.manual_seed(CONFIG["seed"])
    torch.set_num_threads(given.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    coder = make_tokenizer(given.out)
    model = Model().to(device)
    checkpoint = os.path.join(given.out, "model.pt")
    if given.resume and os.path.exists(checkpoint):
        model.load_state_dict(torch.load(checkpoint, map_location=device))
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embedding" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() < 2 or "embedding" in n]
    muon, adam = Muon(matrices), torch.optim.AdamW(others, lr=1, betas=(0.9, 0.98), weight_decay=0.0)
    log = open(os.path.join(given.out, "log.txt"), "a")
    count = sum(p.numel() for p in model.parameters())
    begun, average, tokens = time.time(), None, 0
    for step, (ids, weights) in enumerate(batches(coder, random.Random(time.time()), device)):
        done = (time.time() - begun) / (given.minutes * 60)
        if done >= 1:
            break
        fall = min(1, (step + 1) / 50) * (1 if done < 0.3 else (1 - done) / 0.7)
        logits = model(ids[:, :-1])
        losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = (losses * weights.flatten()).sum() / weights.sum()
        loss.backward()
        muon.step(0.02 * fall)
        for group in adam.param_groups:
            group["lr"] = 0.004 * fall
        adam.step()
        model.zero_grad(set_to_none=True)
        tokens += int((weights > 0).sum())
        average = loss.item() if average is None else 0.97 * average + 0.03 * loss.item()
        if step % 50 == 49:
            line = (f"step {step + 1} loss {average:.4f} tokens {tokens / 1e6:.2f}M "
                    f"{tokens / (time.time() - begun):.0f} tokens/s {100 * done:.0f} %")
            print(line, flush=True)
            print(line, file=log, flush=True)
        if step % 400 == 399:
            torch.save(model.state_dict(), checkpoint)
    torch.save(model.state_dict(), checkpoint)
    with open(os.path.join(given.out, "config.json"), "w") as file:
        json.dump(dict(CONFIG, parameters=count, tokens=tokens, loss=round(average, 4), device=device,
                       minutes=round((time.time() - begun) / 60, 1)), file)


if __name__ == "__main__":
    main()
