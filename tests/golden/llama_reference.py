#!/usr/bin/env python3
"""Makes tests/golden/llama: two small LLaMA models as Hugging Face folders, and what a plain
PyTorch implementation computes from them: logits, loss and gradients in float64, stored as float32.
Run with a Python that has torch (Debian: python3-torch, /usr/bin/python3); the stored files are
what the tests read.

  /usr/bin/python3 tests/golden/llama_reference.py"""
import json
import math
import struct
from pathlib import Path

import torch

OUT = Path(__file__).resolve().parent / "llama"
NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "I64"}


def save(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor.contiguous()
        raw = raw.numpy().tobytes()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def weights(c, generator):
    def normal(*shape):
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.2).float()
    d, hd = c["hidden_size"], c["head_dim"]
    q, k, f = c["num_attention_heads"] * hd, c["num_key_value_heads"] * hd, c["intermediate_size"]
    w = {"model.embed_tokens.weight": normal(c["vocab_size"], d)}
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        w |= {at + "self_attn.q_proj.weight": normal(q, d), at + "self_attn.k_proj.weight": normal(k, d),
              at + "self_attn.v_proj.weight": normal(k, d), at + "self_attn.o_proj.weight": normal(d, q),
              at + "mlp.gate_proj.weight": normal(f, d), at + "mlp.up_proj.weight": normal(f, d),
              at + "mlp.down_proj.weight": normal(d, f), at + "input_layernorm.weight": 1 + normal(d),
              at + "post_attention_layernorm.weight": 1 + normal(d)}
    w["model.norm.weight"] = 1 + normal(d)
    if not c["tie_word_embeddings"]:
        w["lm_head.weight"] = normal(c["vocab_size"], d)
    return w


def forward(c, w, tokens):
    def norm(x, gain):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + c["rms_norm_eps"]) * gain

    batch, length = tokens.shape
    heads, kv_heads, hd = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
    angle = torch.outer(torch.arange(length, dtype=torch.float64),
                        c["rope_theta"] ** -(torch.arange(0, hd, 2, dtype=torch.float64) / hd))
    cos, sin = (torch.cat([f(angle)] * 2, -1) for f in (torch.cos, torch.sin))

    def rotate(x):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin

    def split(x, n):
        return x.view(batch, length, n, hd).transpose(1, 2)

    x = w["model.embed_tokens.weight"][tokens]
    for i in range(c["num_hidden_layers"]):
        def layer(name, at=f"model.layers.{i}."):
            return w[at + name + ".weight"]
        h = norm(x, layer("input_layernorm"))
        q = rotate(split(h @ layer("self_attn.q_proj").T, heads))
        k = rotate(split(h @ layer("self_attn.k_proj").T, kv_heads)).repeat_interleave(heads // kv_heads, 1)
        v = split(h @ layer("self_attn.v_proj").T, kv_heads).repeat_interleave(heads // kv_heads, 1)
        scores = q @ k.transpose(-1, -2) / math.sqrt(hd)
        scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), -math.inf)
        out = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, heads * hd)
        x = x + out @ layer("self_attn.o_proj").T
        h = norm(x, layer("post_attention_layernorm"))
        x = x + (torch.nn.functional.silu(h @ layer("mlp.gate_proj").T)
                 * (h @ layer("mlp.up_proj").T)) @ layer("mlp.down_proj").T
    head = w["model.embed_tokens.weight"] if c["tie_word_embeddings"] else w["lm_head.weight"]
    return norm(x, w["model.norm.weight"]) @ head.T


def make(name, seed, length, young_rope, **changes):
    c = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": 61,
         "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 4, "head_dim": 6, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
         "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": "float32"} | changes
    generator = torch.Generator().manual_seed(seed)
    stored = weights(c, generator)
    w = {k: v.double().requires_grad_() for k, v in stored.items()}
    tokens = torch.randint(c["vocab_size"], (2, length + 1), generator=generator)
    logits = forward(c, w, tokens[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, c["vocab_size"]), tokens[:, 1:].reshape(-1))
    loss.backward()
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    config = dict(c)
    if young_rope:
        config["rope_parameters"] = {"rope_type": "default", "rope_theta": config.pop("rope_theta")}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save(folder / "model.safetensors", stored)
    save(folder / "reference.safetensors",
         {"tokens": tokens, "logits": logits.detach().float(), "loss": loss.detach().float().view(1)}
         | {"gradient." + k: v.grad.float() for k, v in w.items()})


if __name__ == "__main__":
    # Longer than a block of queries (128), so that several blocks meet; heads that share keys; a head width that
    # is not hidden / heads.
    make("grouped", 1, 150, True, num_key_value_heads=2, head_dim=10, rope_theta=500000.0)
    make("tied", 2, 40, False, tie_word_embeddings=True)
