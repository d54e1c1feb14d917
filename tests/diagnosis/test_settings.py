"""What a module of torch's own was built with is read back from the module."""

import inspect
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attntrace.capture.failed.values.settings import constructor_settings, torch_class

BUILT = [
    partial(nn.Linear, 5, 7),
    partial(nn.Linear, 5, 7, bias=False),
    partial(nn.Bilinear, 2, 3, 5, bias=False),
    partial(nn.Conv1d, 2, 3, 5, stride=7, padding="valid", bias=False),
    partial(nn.Conv2d, 6, 4, (3, 5), padding=(1, 2), dilation=2, groups=2),
    partial(nn.Conv2d, 6, 4, 3, padding="same", padding_mode="reflect"),
    partial(nn.Conv3d, 2, 3, 5, bias=False),
    partial(nn.ConvTranspose1d, 2, 3, 5),
    partial(nn.ConvTranspose2d, 4, 6, 3, 2, 1, 1, groups=2, bias=False, dilation=2),
    partial(nn.ConvTranspose3d, 2, 3, 5),
    partial(nn.LayerNorm, (3, 5), eps=1e-3),
    partial(nn.LayerNorm, 5, bias=False),
    partial(nn.LayerNorm, 5, elementwise_affine=False),
    partial(nn.RMSNorm, 5, eps=1e-3),
    partial(nn.GroupNorm, 2, 6, affine=False),
    partial(nn.BatchNorm1d, 5, momentum=None),
    partial(nn.BatchNorm2d, 5, affine=False, track_running_stats=False),
    partial(nn.BatchNorm3d, 5),
    partial(nn.InstanceNorm1d, 5),
    partial(nn.InstanceNorm2d, 5, affine=True),
    partial(nn.Embedding, 11, 5, padding_idx=0, max_norm=2.0),
    partial(nn.EmbeddingBag, 11, 5, mode="sum", include_last_offset=True),
    partial(nn.MultiheadAttention, 12, 3, batch_first=True, kdim=5, vdim=7),
    partial(nn.MultiheadAttention, 12, 3, bias=False, add_bias_kv=True, add_zero_attn=True),
    partial(nn.TransformerEncoderLayer, 12, 3, 17, 0.25, "gelu", norm_first=True, bias=False),
    partial(nn.TransformerDecoderLayer, 12, 3, 17, batch_first=True, layer_norm_eps=1e-3),
    partial(nn.Transformer, 12, 4, 2, 1, 17, 0.0, F.gelu, batch_first=True),
    partial(nn.LSTM, 5, 7, 2, bidirectional=True, proj_size=3, dropout=0.5),
    partial(nn.GRU, 5, 7, bias=False, batch_first=True),
    partial(nn.RNN, 5, 7, nonlinearity="relu"),
    partial(nn.LSTMCell, 5, 7, bias=False),
    partial(nn.GRUCell, 5, 7),
    partial(nn.RNNCell, 5, 7, nonlinearity="relu"),
    partial(nn.Unfold, 7, stride=4, padding=2),
    partial(nn.Fold, (8, 9), 3, dilation=2),
    partial(nn.MaxPool1d, 3),
    partial(nn.MaxPool2d, (3, 5), stride=2, return_indices=True, ceil_mode=True),
    partial(nn.AvgPool2d, 3, padding=1, count_include_pad=False, divisor_override=4),
    partial(nn.AdaptiveAvgPool2d, (None, 5)),
    partial(nn.AdaptiveMaxPool1d, 5),
    partial(nn.LPPool2d, 2, 3),
    partial(nn.FractionalMaxPool2d, 3, output_ratio=0.5),
    partial(nn.MaxUnpool2d, 3),
    partial(nn.PixelShuffle, 3),
    partial(nn.PixelUnshuffle, 3),
    partial(nn.ChannelShuffle, 3),
    partial(nn.Upsample, scale_factor=2, mode="bilinear", align_corners=True),
    partial(nn.Flatten, 2),
    partial(nn.Unflatten, 1, (3, 5)),
    partial(nn.Dropout, 0.25),
    partial(nn.GELU, approximate="tanh"),
    partial(nn.PReLU, 5),
    partial(nn.Softmax, dim=-2),
    partial(nn.ZeroPad2d, (1, 2, 3, 4)),
    partial(nn.ConstantPad1d, 3, 0.5),
    partial(nn.PairwiseDistance, 3, keepdim=True),
    partial(nn.Hardtanh, -2, 2),
    nn.Identity,
    nn.ReLU,
]


def look(module):
    """Return everything that a module shows of how it was built."""
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    return repr(module), shapes, constructor_settings(module)


@pytest.mark.parametrize("build", BUILT, ids=lambda build: str(getattr(build, "func", build)))
def test_a_module_built_again_from_its_settings_is_the_same(build):
    """The settings of a module build its like, on meta, for every kind of module."""
    module = build()
    kind = type(module)
    where = {"device": "meta"} if module.state_dict() else {}
    again = kind(**constructor_settings(module), **where)
    assert look(again) == look(module)
    assert all(value.is_meta for value in again.parameters()) or not where


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_no_module_of_torchs_own_makes_it_raise():
    """Each class of torch.nn that is built from numbers gives settings that build its like."""
    numbers = {"num_groups": 2, "num_channels": 6, "num_heads": 2, "nhead": 2, "upscale_factor": 3}
    built = 0
    for name in sorted(set(dir(nn)) - {"Container", "DataParallel", "NLLLoss2d"}):
        kind = getattr(nn, name)
        if not inspect.isclass(kind) or not issubclass(kind, nn.Module):
            continue
        takes = [*inspect.signature(kind.__init__).parameters.values()][1:]
        needed = {p.name: numbers.get(p.name, 4) for p in takes if p.default is p.empty}
        try:
            module = kind(**needed)
        except (TypeError, ValueError, AttributeError):
            continue
        settings = constructor_settings(module)
        if torch_class(module) and not (settings == {} and needed):
            assert repr(kind(**settings)) == repr(module)
            built += 1
    assert built > 90


def test_of_the_authors_own_classes_only_what_extends_torchs_has_settings():
    """A subclass of Linear is known by what Linear takes; a module of the author's has none."""

    class Scaled(nn.Linear):
        def __init__(self, scale):
            super().__init__(5, 7)
            self.scale = scale

        @property
        def in_features_again(self):
            raise AssertionError("code of the author's ran")

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(5, 7)

    assert torch_class(Scaled(2)) is nn.Linear
    assert constructor_settings(Scaled(2)) == {"in_features": 5, "out_features": 7, "bias": True}
    assert torch_class(Own()) is None
    assert constructor_settings(Own()) == {}


def test_what_is_built_of_modules_has_no_settings():
    """Modules that hold others cannot be built again from numbers, so nothing is claimed."""
    layer = nn.TransformerEncoderLayer(12, 3, 17)
    stack = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    assert constructor_settings(stack) == {}
    assert constructor_settings(nn.Sequential(nn.Linear(5, 7))) == {}
    with torch.device("meta"):
        lazy = nn.LazyLinear(7, bias=False)
    assert constructor_settings(lazy) == {"out_features": 7, "bias": False}
