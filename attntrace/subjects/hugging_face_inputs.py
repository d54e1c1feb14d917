"""Inputs for a model of transformers, as small as its config allows, where the user gives none.

What `forward` asks for and what kind of model it is decide which; the config decides their sizes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

BATCH, TOKENS, SAMPLES, FRAMES = 2, 16, 8000, 64
"""Samples are half a second of sound at 16 kHz; frames are of a spectrogram."""
PLACEHOLDERS = ("image_token_id", "image_token_index", "audio_token_id", "audio_token_index")
"""Ids that mark where images or sounds go in the text: such a model also takes plain text."""
PAGES = ("max_2d_position_embeddings", "dim_bbox")
"""Where words have places on a page."""


def inputs_of(model: nn.Module) -> dict[str, Tensor]:
    """Return keyword arguments for forward, on the model's device, numbers in its dtype.

    ids and masks (2, 16), images (2, num_channels, height, width), sound (2, 8000) or, as features,
    (2, frames, bins). What no config tells how to make is left out: the user gives it.
    """
    made = _Inputs(model)
    return {name: made(name) for name in _wanted(model) if name in _MAKERS}


def _wanted(model: Any) -> list[str]:
    """Return the parameters of forward that are to be given: what it must have and its like."""
    parameters = inspect.signature(model.forward).parameters
    config, main = model.config, model.main_input_name
    plain = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    wanted = [main, *(p.name for p in plain if p.default is p.empty)]
    if "input_ids" in parameters:
        wanted += ["input_ids", "attention_mask", *(["bbox"] if _has(config, PAGES) else [])]
    if main == "input_ids" and not _has(config, PLACEHOLDERS):  # both, as of CLIP
        wanted += ["pixel_values"] if _image_size(config) else []
        wanted += ["input_features"] if hasattr(config, "audio_config") else []
    if getattr(config, "is_encoder_decoder", False):
        wanted.append("decoder_input_ids")
    return [name for name in dict.fromkeys(wanted) if name in parameters]


class _Inputs:
    """Draws inputs for one model from a generator of its own: the random state stays as it is."""

    def __init__(self, model: Any) -> None:
        self.config, self.dtype, self.device = model.config, model.dtype, model.device
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, name: str) -> Tensor:
        """Return the input of that name."""
        return _MAKERS[name](self).to(self.device)

    def numbers(self, *shape: int) -> Tensor:
        """Return random numbers of the model's dtype."""
        drawn = torch.randn(shape, generator=self.generator, device="cpu")
        return drawn.to(self.dtype)

    def ids(self) -> Tensor:
        """Return ids of ordinary words, (2, 16) or as many as there are positions, eos the last."""
        text = self.config.get_text_config()
        vocab, end = text.vocab_size, getattr(text, "eos_token_id", None)
        special = {
            value
            for config in (self.config, text)
            for key, value in config.to_dict().items()
            if key.endswith(("_token_id", "_token_index")) and isinstance(value, int)
        }
        usual = [number for number in range(vocab) if number not in special]
        size = (BATCH, self.tokens(text))
        drawn = torch.randint(len(usual), size, generator=self.generator, device="cpu")
        ids = torch.tensor(usual, device="cpu")[drawn]
        if isinstance(end, int) and 0 <= end < vocab:
            ids[:, -1] = end
        return ids

    @staticmethod
    def tokens(text: Any) -> int:
        """Return 16, or what the positions leave: some models begin to count at 2."""
        most = _first(text, "max_position_embeddings", "max_target_positions", default=TOKENS + 2)
        return max(1, min(TOKENS, most - 2))

    def mask(self) -> Tensor:
        """Return a mask that hides nothing."""
        size = (BATCH, self.tokens(self.config.get_text_config()))
        return torch.ones(size, dtype=torch.int64, device="cpu")

    def boxes(self) -> Tensor:
        """Return the place of each word on its page, (2, 16, 4)."""
        return self.mask()[..., None] * torch.tensor([1, 2, 3, 4], device="cpu")

    def images(self) -> Tensor:
        """Return images, (2, channels, height, width)."""
        config = _part(self.config, "vision_config", "encoder", "image_config", "backbone_config")
        channels = _first(config, "num_channels", "in_channels", "in_chans", default=3)
        return self.numbers(BATCH, channels, *(_image_size(self.config) or (224, 224)))

    def videos(self) -> Tensor:
        """Return moving images, (2, frames, channels, height, width)."""
        images = self.images()
        frames = _first(self.config, "num_frames", "frames_per_clip", default=8)
        return images[:, None].expand(-1, frames, -1, -1, -1).contiguous()

    def sound(self) -> Tensor:
        """Return sound, (2, samples), (2, 1, samples), or a spectrogram (2, frames, bins)."""
        config = _part(self.config, "encoder", "audio_config")
        if hasattr(config, "num_mel_bins") and hasattr(config, "max_length"):
            return self.numbers(BATCH, config.max_length, config.num_mel_bins)
        if hasattr(config, "codebook_size"):
            return self.numbers(BATCH, _first(config, "audio_channels", default=1), SAMPLES)
        return self.numbers(BATCH, SAMPLES)

    def features(self) -> Tensor:
        """Return the features of sound, (2, frames, bins); of Whisper (2, bins, frames)."""
        config = _part(self.config, "audio_config", "encoder_config", "encoder")
        if hasattr(config, "max_source_positions") and hasattr(config, "num_mel_bins"):
            return self.numbers(BATCH, config.num_mel_bins, 2 * config.max_source_positions)
        if hasattr(config, "spec_size"):
            return self.numbers(BATCH, 1, config.spec_size, config.num_mel_bins)
        bins = _first(
            config,
            *("input_feat_per_channel", "feature_projection_input_dim", "num_mel_bins"),
            *("input_dim", "input_channels"),
            default=80,
        )
        return self.numbers(BATCH, FRAMES, bins)


_MAKERS: Mapping[str, Callable[[_Inputs], Tensor]] = {
    "input_ids": _Inputs.ids,
    "decoder_input_ids": _Inputs.ids,
    "attention_mask": _Inputs.mask,
    "bbox": _Inputs.boxes,
    "pixel_values": _Inputs.images,
    "pixel_values_videos": _Inputs.videos,
    "input_values": _Inputs.sound,
    "input_features": _Inputs.features,
}


def _has(config: Any, names: tuple[str, ...]) -> bool:
    return any(hasattr(config, name) for name in names)


def _part(config: Any, *names: str) -> Any:
    """Return the first of these parts that a config has, else the config itself."""
    return next((getattr(config, n) for n in names if getattr(config, n, None) is not None), config)


def _first(config: Any, *names: str, default: int) -> int:
    """Return the first of these fields that a config has."""
    found = (getattr(config, name, None) for name in names)
    return next((value for value in found if isinstance(value, int)), default)


def _image_size(config: Any) -> tuple[int, int] | None:
    """Return height and width of the images that a model takes, None of one that takes none."""
    part = _part(config, "vision_config", "encoder", "image_config")
    size = getattr(part, "image_size", None) or getattr(part, "input_size", None)
    if isinstance(size, dict):
        size = (size["height"], size["width"])
    if isinstance(size, int):
        size = (size, size)
    return tuple(size) if size else None
