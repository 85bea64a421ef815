"""The layer that drafts. transformers leaves its weights out, so it is put together here from transformers' own parts, in the order of
vLLM's qwen3_5_mtp.py and llama.cpp's graph: norms of the next token's embedding and of the model's normed hidden state, a projection
of both, one layer of full attention, a norm, the model's head.
"""

import copy

import numpy as np
import torch
from torch import nn

CHAINED = 3


class Predictor(nn.Module):
    """Names of the parts are those of the checkpoints under `mtp.`."""

    def __init__(self, model):
        super().__init__()
        base, config = model.model, copy.deepcopy(model.config)
        # The layer's kind stands in the configuration, at its number.
        config.layer_types = ["full_attention"]
        layer, norm = type(base.layers[0]), type(base.norm)
        self.fc = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.pre_fc_norm_embedding, self.pre_fc_norm_hidden, self.norm = (
            norm(config.hidden_size, eps=config.rms_norm_eps) for _ in range(3))
        self.layers = nn.ModuleList([layer(config, 0)])

    def forward(self, base, tokens: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Normed hidden states `[tokens, hidden]`; entry i is a token with the hidden state of the one before it."""
        x = torch.cat([self.pre_fc_norm_embedding(base.embed_tokens(tokens)), self.pre_fc_norm_hidden(hidden)], dim=-1)
        x = self.fc(x)[None]
        n = x.shape[1]
        positions = torch.arange(n)[None]
        mask = torch.full((n, n), torch.finfo(x.dtype).min).triu(1)[None, None]
        x = self.layers[0](x, position_embeddings=base.rotary_emb(x, positions), attention_mask=mask, position_ids=positions)
        x = x[0] if isinstance(x, tuple) else x
        return self.norm(x)[0]


def references(model, predictor, tokens: torch.Tensor) -> dict[str, np.ndarray]:
    """The model's hidden states, the drafts' logits of every entry, and logits of drafts on drafts."""
    with torch.no_grad():
        hidden = model.model(input_ids=tokens[None]).last_hidden_state[0]
        after, before = tokens[1:], hidden[:-1]
        drafted = predictor(model.model, after, before)
        logits = [model.lm_head(drafted)]
        # The last entry's own hidden state, with the tokens from the first on again.
        for i in range(CHAINED):
            after, before = torch.cat([after, tokens[i:i + 1]]), torch.cat([before, drafted[-1:]])
            drafted = predictor(model.model, after, before)
            logits.append(model.lm_head(drafted[-1:]))
    return {"hidden": hidden.numpy(), "drafts": torch.cat(logits).numpy()}
