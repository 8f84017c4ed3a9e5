"""Byte-level BPE as GPT-2 splits it. Merges never join digits, nor a space with letters: each digit is a token of its
own, and a word has the same tokens after a space, a quote or an underscore, so that copying it is exact."""
import collections

import regex

PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def byte_symbols():
    """A printable character for each byte, GPT-2's table: printable Latin-1 stands for itself."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {b: chr(b) for b in printable}
    for i, b in enumerate(b for b in range(256) if b not in symbols):
        symbols[b] = chr(256 + i)
    return symbols


SYMBOLS = byte_symbols()


def spelled(text):
    return tuple(SYMBOLS[b] for b in text.encode())


# Frequent in the texts in one word alone, so a token of theirs would hardly be learnt anywhere else.
KEPT_APART = {"eather", "weather"}


def may_join(text):
    return text not in KEPT_APART and not any(ch.isdigit() for ch in text) and not (text[0] == SYMBOLS[32] and any(ch.isalpha() for ch in text[1:]))


def learn_merges(texts, specials, wanted):
    """The `wanted` most frequent joins, in order."""
    splitter = regex.compile("|".join(map(regex.escape, specials)))
    counts = collections.Counter(spelled(piece) for text in texts for part in splitter.split(text)
                                 for piece in PATTERN.findall(part))
    counts = {piece: times for piece, times in counts.items() if times > 3}
    merges = []
    while len(merges) < wanted:
        pairs = collections.Counter()
        for piece, times in counts.items():
            for pair in zip(piece, piece[1:]):
                if may_join(pair[0] + pair[1]):
                    pairs[pair] += times
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        counts = {joined(piece, best): times for piece, times in counts.items()}
    return merges


def joined(piece, pair):
    out, i = [], 0
    while i < len(piece):
        if piece[i:i + 2] == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(piece[i])
            i += 1
    return tuple(out)


class Tokenizer:
    def __init__(self, merges, specials, size):
        self.merges = [tuple(m) for m in merges]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        texts = list(dict.fromkeys([*SYMBOLS.values(), *(a + b for a, b in self.merges)]))
        self.tokens = texts + specials
        self.tokens += [f"<|unused_{i}|>" for i in range(size - len(self.tokens))]
        assert len(self.tokens) == size, "the vocabulary is larger than its size"
        self.id = {token: i for i, token in enumerate(self.tokens)}
        self.specials = set(specials)
        self.splitter = regex.compile("(" + "|".join(map(regex.escape, specials)) + ")")
        self.known = {}

    def encode(self, text):
        ids = []
        for part in self.splitter.split(text):
            if part in self.specials:
                ids.append(self.id[part])
            else:
                for piece in PATTERN.findall(part):
                    ids.extend(self.piece(piece))
        return ids

    def piece(self, text):
        if text not in self.known:
            symbols = list(spelled(text))
            while len(symbols) > 1:
                ranks = [self.rank.get(pair, 1 << 30) for pair in zip(symbols, symbols[1:])]
                at = min(range(len(ranks)), key=ranks.__getitem__)
                if ranks[at] == 1 << 30:
                    break
                symbols[at:at + 2] = [symbols[at] + symbols[at + 1]]
            ids = [self.id[s] for s in symbols]
            if len(self.known) > 200_000:
                self.known.clear()
            self.known[text] = ids
        return self.known[text]
