"""Writes a trained demo model as GGUF: export.py TRAIN_DIR OUT.gguf [--f16]. Needs numpy and `gguf`."""
import argparse
import json
import os

import gguf
import numpy as np
import torch
from gguf.quants import quantize

import data
import tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = {"attn_norm": "attn_norm", "ffn_norm": "ffn_norm", "q_norm": "attn_q_norm", "k_norm": "attn_k_norm", "q": "attn_q", "k": "attn_k", "v": "attn_v",
         "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}


def header(writer, config, coder):
    writer.add_name("lmserver demo")
    writer.add_description("A tiny chat model trained on synthetic conversations, for first runs and tests.")
    writer.add_context_length(config["context"])
    writer.add_embedding_length(config["width"])
    writer.add_block_count(config["layers"])
    writer.add_feed_forward_length(config["hidden"])
    writer.add_head_count(config["heads"])
    writer.add_head_count_kv(config["heads"])
    writer.add_key_length(config["width"] // config["heads"])
    writer.add_value_length(config["width"] // config["heads"])
    writer.add_rope_dimension_count(config["width"] // config["heads"])
    writer.add_rope_freq_base(config["rope_base"])
    writer.add_layer_norm_rms_eps(config["epsilon"])
    writer.add_vocab_size(config["vocabulary"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(coder.tokens)
    writer.add_token_types([token_type(token) for token in coder.tokens])
    writer.add_token_merges([f"{a} {b}" for a, b in coder.merges])
    writer.add_eos_token_id(coder.id["<|im_end|>"])
    writer.add_bos_token_id(coder.id["<|endoftext|>"])
    writer.add_pad_token_id(coder.id["<|endoftext|>"])
    writer.add_add_bos_token(False)
    with open(os.path.join(HERE, "template.jinja")) as file:
        writer.add_chat_template(file.read())


def token_type(token):
    if token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>"):
        return gguf.TokenType.CONTROL
    if token in data.SPECIALS:
        return gguf.TokenType.USER_DEFINED
    return gguf.TokenType.UNUSED if token.startswith("<|unused_") else gguf.TokenType.NORMAL


def main():
    options = argparse.ArgumentParser()
    options.add_argument("trained")
    options.add_argument("out")
    options.add_argument("--f16", action="store_true")
    given = options.parse_args()
    config = json.load(open(os.path.join(given.trained, "config.json")))
    merges = json.load(open(os.path.join(given.trained, "merges.json")))
    coder = tokenizer.Tokenizer(merges, data.SPECIALS, config["vocabulary"])
    state = torch.load(os.path.join(given.trained, "state.pt"), map_location="cpu")["model"]
    writer = gguf.GGUFWriter(given.out, "qwen3")
    header(writer, config, coder)
    kind = gguf.LlamaFileType.MOSTLY_F16 if given.f16 else gguf.LlamaFileType.MOSTLY_Q8_0
    writer.add_file_type(kind)

    def put(name, tensor):
        values = np.ascontiguousarray(tensor.float().numpy(), dtype=np.float32)
        if values.ndim == 1:
            writer.add_tensor(name, values)
        elif given.f16:
            writer.add_tensor(name, values.astype(np.float16))
        else:
            q8 = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(values, q8), raw_dtype=q8)

    put("token_embd.weight", state["embedding.weight"])
    put("output_norm.weight", state["norm.weight"])
    for layer in range(config["layers"]):
        for ours, theirs in NAMES.items():
            put(f"blk.{layer}.{theirs}.weight", state[f"blocks.{layer}.{ours}.weight"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{given.out}: {os.path.getsize(given.out) / 1e6:.2f} MB, {config['parameters']} parameters")


if __name__ == "__main__":
    main()
