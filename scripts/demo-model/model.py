"""The demo model's network: a Qwen 3 (grouped queries apart), small enough for a CPU to train."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Norm(nn.Module):
    def __init__(self, width, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.epsilon)


def rotate(x, cos, sin):
    """Rotary positions, the first half of each head's channels paired with the second."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, hidden, epsilon = config["width"], config["hidden"], config["epsilon"]
        self.heads = config["heads"]
        self.attn_norm, self.ffn_norm = Norm(width, epsilon), Norm(width, epsilon)
        self.q_norm, self.k_norm = (Norm(width // self.heads, epsilon) for _ in range(2))
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x, cos, sin):
        b, t, width = x.shape
        joined = torch.cat((self.q.weight, self.k.weight, self.v.weight))
        q, k, v = F.linear(self.attn_norm(x), joined).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(self.q_norm(q), cos, sin), rotate(self.k_norm(k), cos, sin)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(b, t, width))
        gate, up = F.linear(self.ffn_norm(x), torch.cat((self.gate.weight, self.up.weight))).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config["width"]
        self.embedding = nn.Embedding(config["vocabulary"], width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config["layers"]))
        self.norm = Norm(width, config["epsilon"])
        nn.init.normal_(self.embedding.weight, std=0.05)
        for block in self.blocks:
            for layer in (block.o, block.down):
                nn.init.zeros_(layer.weight)
        half = width // config["heads"] // 2
        angle = torch.arange(config["longest"] + 1)[:, None] * config["rope_base"] ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids, wanted):
        """Scores [len(wanted), vocabulary] of the tokens after these places, counted through ids [B, T] row by row."""
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, cos, sin)
        return F.linear(self.norm(x.flatten(0, 1)[wanted]), self.embedding.weight)
