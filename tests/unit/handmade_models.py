"""A model with weights written by hand: a previous-token head feeds an induction head."""

import torch
from transformers import AutoModelForCausalLM, GPT2Config, PreTrainedModel

SHARP = 60.0
N_TOKENS, N_PLACES = 30, 16


def induction_model(sign: float = 1.0) -> PreTrainedModel:
    """GPT-2 of two layers with one head each and MLPs that write nothing.

    The stream has a part for the token, one for the position and one for the token before. The head
    of layer 0 attends to the position before and writes its token in the third part; the head of
    layer 1 attends to where the token before is its own token, and writes that place's token times
    `sign`. Norms see the same mean and size everywhere.
    """
    token = slice(0, N_TOKENS)
    place = slice(N_TOKENS, N_TOKENS + N_PLACES)
    before = slice(N_TOKENS + N_PLACES, 2 * N_TOKENS + N_PLACES)
    width = before.stop
    config = GPT2Config(
        vocab_size=N_TOKENS,
        n_positions=N_PLACES,
        n_embd=width,
        n_layer=2,
        n_head=1,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=1,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(float(".ln_" in name and name.endswith("weight")))
        body = model.transformer
        body.wte.weight[:, token] = torch.eye(N_TOKENS)
        body.wpe.weight[:, place] = torch.eye(N_PLACES)
        queries, keys, values = (slice(part * width, (part + 1) * width) for part in range(3))
        shift = torch.diag(torch.ones(N_PLACES - 1), -1)
        first, second = (block.attn for block in body.h)
        first.c_attn.weight[place, queries][:, place] = SHARP * shift
        first.c_attn.weight[place, keys][:, place] = torch.eye(N_PLACES)
        first.c_attn.weight[token, values][:, token] = torch.eye(N_TOKENS)
        first.c_proj.weight[token, before] = torch.eye(N_TOKENS)
        second.c_attn.weight[token, queries][:, token] = SHARP * torch.eye(N_TOKENS)
        second.c_attn.weight[before, keys][:, token] = torch.eye(N_TOKENS)
        second.c_attn.weight[token, values][:, token] = torch.eye(N_TOKENS)
        second.c_proj.weight[token, token] = sign * torch.eye(N_TOKENS)
    return model
