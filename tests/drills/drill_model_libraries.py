"""Models of `transformers` and `timm` in one call: their own modules, random weights.

``pip install transformers timm`` first (5.24 and 1.0.31 when it was last run); nothing else is downloaded.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import spanmatch
from spanmatch.comparing import Comparison

WORDS, TOKENS, SAMPLES = 97, 12, 8
USUAL = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
GROUPED = {**USUAL, "num_key_value_heads": 2}
OLDER = {"vocab_size": WORDS, "n_layer": 2, "n_head": 4}
# Models by the start of their classes' names, with what their configurations are told.
SENTENCES: dict[str, dict[str, Any]] = {
    "Bert": USUAL,
    "DistilBert": {"vocab_size": WORDS, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "Roberta": USUAL,
    "Electra": {**USUAL, "embedding_size": 16},
    "Albert": {**USUAL, "embedding_size": 16},
    "DebertaV2": USUAL,
    "MobileBert": {"vocab_size": WORDS, "num_hidden_layers": 2},
    "ModernBert": {**USUAL, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0},
    "BigBird": {**USUAL, "attention_type": "original_full"},
    "GPT2": {**OLDER, "n_embd": 32},
    "GPTJ": {**OLDER, "n_embd": 32, "rotary_dim": 4},
    "GPTNeoX": USUAL,
    "Bloom": {**OLDER, "hidden_size": 32},
    "Falcon": {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    "Llama": GROUPED,
    "Mistral": GROUPED,
    "Qwen2": GROUPED,
    "Phi3": {**GROUPED, "pad_token_id": 0},
    "Gemma2": {**GROUPED, "head_dim": 8},
    "Mamba": {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2},
    "Rwkv": {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32},
    "XLNet": {"vocab_size": WORDS, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
}
PICTURES = (
    *("vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "beit_base_patch16_224", "mixer_s32_224"),
    *("convnext_atto", "resnet10t", "efficientnet_b0", "densenet121", "regnetx_002", "mobilevit_xxs"),
    *("coatnet_0_224", "maxvit_tiny_tf_224", "pvt_v2_b0", "xcit_nano_12_p16_224", "levit_128s", "nest_tiny"),
    *("hiera_tiny_224", "davit_tiny", "focalnet_tiny_srf", "volo_d1_224", "cait_xxs24_224", "vgg11"),
)


def batches() -> Iterator[dict[str, torch.Tensor]]:
    """Yield sentences of 5 to 12 words, padded on the right."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        words = torch.randint(2, WORDS, (SAMPLES, TOKENS), generator=generator)
        mask = (torch.arange(TOKENS) < TOKENS - torch.arange(SAMPLES)[:, None]).long()
        yield {"input_ids": words * mask, "attention_mask": mask}


def alone() -> Iterator[dict[str, torch.Tensor]]:
    """Yield each of these sentences by itself, without padding."""
    for batch in batches():
        for number, count in enumerate(batch["attention_mask"].sum(1).tolist()):
            yield {name: values[number : number + 1, :count] for name, values in batch.items()}


def compared(networks: Mapping[str, nn.Module], loader: list[Any], positions: str) -> Comparison:
    return spanmatch.compare(
        networks, loader, layers="default", positions=positions, pairs="same", progress=False
    )


@pytest.mark.parametrize("name", SENTENCES)
def test_padded_sentences_of_a_transformer_are_as_each_by_itself(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    networks = {}
    for seed in range(2):
        torch.manual_seed(seed)
        config = getattr(transformers, f"{name}Config")(**SENTENCES[name])
        networks[f"seed {seed}"] = getattr(transformers, f"{name}Model")(config).double()
    padded, single = (compared(networks, list(each()), "all") for each in (batches, alone))
    assert padded.pairs
    for pair in padded.pairs:
        one, other = (each.gram(pair.x.layer, pair.y.layer) for each in (padded, single))
        assert one.n_samples == other.n_samples
        np.testing.assert_allclose(one.matrix, other.matrix, rtol=0, atol=1e-12 * other.matrix.max())


@pytest.mark.parametrize("name", PICTURES)
def test_layers_of_a_network_for_pictures_are_what_their_modules_give(name: str) -> None:
    timm = pytest.importorskip("timm")
    networks = {}
    for seed in range(2):
        torch.manual_seed(seed)
        networks[f"seed {seed}"] = timm.create_model(name, pretrained=False).double().eval()
    generator = torch.Generator().manual_seed(0)
    loader = list(torch.randn(4, 3, 224, 224, generator=generator, dtype=torch.float64).split(2))
    found = compared(networks, loader, "mean")
    assert len(found.pairs) > 5
    network = networks["seed 0"]
    layers = {layer.name: layer for layer in found.layers["seed 0"]}
    given: dict[str, list[torch.Tensor]] = {}
    handles = [
        module.register_forward_hook(
            lambda _module, _inputs, output, of=of: given.setdefault(of, []).append(output.clone())
        )
        for of, module in network.named_modules()
        if of in layers
    ]
    with torch.no_grad():
        for batch in loader:
            network(batch)
    for handle in handles:
        handle.remove()
    once = [of for of, outputs in given.items() if len(outputs) == len(loader)]
    assert once
    for of in once:
        output = torch.cat(given[of])
        neurons = layers[of].neurons
        places = [place for place in range(1, output.ndim) if output.shape[place] == neurons]
        means = [output.movedim(place, -1).reshape(4, -1, neurons).mean(1) for place in places]
        x = found.gram(of, of).xx
        assert any(np.allclose(x, mean.T @ mean, rtol=1e-9, atol=1e-12 * x.max()) for mean in means), of
