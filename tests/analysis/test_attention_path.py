"""Which kernel scaled_dot_product_attention gets: our rules, against torch's chooser on a CPU."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attntrace.analysis.paths import BACKENDS, Choice, Hardware, Operand, SdpaCall, sdpa_path
from tests.analysis.op_names import OpNames

CPU = Hardware(device="cpu")
FLASH = Choice(kernel="flash", refused=())
NAMES = {SDPBackend.MATH: "math", SDPBackend.FLASH_ATTENTION: "flash"}
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
FLASH_OP = "aten._scaled_dot_product_flash_attention_for_cpu"


def facts(tensor):
    """Return the operand that a tensor is."""
    return tensor if tensor is None else Operand(
        shape=tuple(tensor.shape),
        stride=tensor.stride(),
        dtype=str(tensor.dtype).removeprefix("torch."),
        requires_grad=tensor.requires_grad,
        offset=tensor.storage_offset(),
    )  # fmt: skip


def call(q, k, v, mask=None, *, dropout=0.0, is_causal=False, enable_gqa=False):
    """Return the call that these arguments make."""
    return SdpaCall(
        q=facts(q),
        k=facts(k),
        v=facts(v),
        mask=facts(mask),
        dropout=dropout,
        is_causal=is_causal,
        enable_gqa=enable_gqa,
        grad=torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)),
    )


def qkv(q=(2, 4, 5, 16), k=(2, 4, 7, 16), v=None, dtype=torch.float32):
    """Return three tensors; v is as k where nothing else is said."""
    return [torch.zeros(shape, dtype=dtype) for shape in (q, k, v or k)]


ODDITIES = (
    "dropout", "rank", "batch", "heads", "v heads", "v head_dim", "head_dim 1", "no tokens",
    "strided", "mask size", "mask rank", "mask grad", "dtype",
)  # fmt: skip


@st.composite
def masks(draw, whole, odd):
    """Draw a mask, whole or broadcast, boolean or not; an odd one may fit nothing."""
    rank = 3 if "mask rank" in odd else draw(st.sampled_from((2, 4)))
    shape = [draw(st.sampled_from((size, 1))) for size in whole[-rank:]]
    if "mask size" in odd:
        shape[draw(st.integers(0, rank - 1))] += 1
    if "mask grad" in odd:
        return torch.zeros(shape, requires_grad=True)
    return torch.zeros(shape, dtype=draw(st.sampled_from((torch.bool, torch.float32))))


@st.composite
def shapes(draw, odd):
    """Draw the shapes of q, k and v, and how long a whole mask is."""
    heads, few = draw(st.sampled_from(((4, 4), (6, 2), (6, 1), (1, 1))))
    few = 4 if "heads" in odd else few
    q_tokens, k_tokens = draw(st.sampled_from(((5, 7), (1, 7), (5, 5), (3, 1))))
    k_tokens = 0 if "no tokens" in odd else k_tokens
    head_dim = 1 if "head_dim 1" in odd else draw(st.sampled_from((16, 3, 8, 260)))
    q = (2, heads, q_tokens, head_dim)
    k = (1 if "batch" in odd else 2, few, k_tokens, head_dim)
    v = (2, 1 if "v heads" in odd else few, k_tokens, 24 if "v head_dim" in odd else head_dim)
    return (q, k, v), (*q[:3], k_tokens)


@st.composite
def calls(draw):
    """Draw arguments of scaled_dot_product_attention, with a few things that a kernel minds."""
    odd = draw(st.sets(st.sampled_from(ODDITIES), max_size=2))
    dtype = torch.int32 if "dtype" in odd else draw(st.sampled_from(FLOATS))
    rank = draw(st.sampled_from((2, 3))) if "rank" in odd else 4
    sizes, whole = draw(shapes(odd))
    tensors = [torch.zeros(shape[-rank:], dtype=dtype) for shape in sizes]
    if "strided" in odd:
        which = draw(st.integers(0, 2))
        tensors[which] = tensors[which].mT.contiguous().mT
    tensors[0].requires_grad_(dtype.is_floating_point and draw(st.booleans()))
    mask = draw(st.none() | masks(whole, odd))
    options = {
        "dropout": 0.1 if "dropout" in odd else 0.0,
        "is_causal": draw(st.booleans()),
        "enable_gqa": draw(st.booleans()),
    }
    return tensors, mask, options


@settings(max_examples=600, deadline=None)
@given(calls())
def test_the_cpu_kernel_is_the_one_that_torch_chooses(drawn):
    """Any heads, head_dim, mask, dropout, dtype, stride, rank: kernel as chosen by torch."""
    tensors, mask, options = drawn
    path = sdpa_path(call(*tensors, mask, **options), CPU)
    if any(tensor.numel() == 0 for tensor in tensors):
        assert path.kernel == "none"
        return
    dropout, is_causal, gqa = options.values()
    choice = torch._fused_sdp_choice(*tensors, mask, dropout, is_causal, enable_gqa=gqa)
    assert path.kernel == NAMES[SDPBackend(choice)]
    assert bool(path.refused) == (path.kernel == "math")


STRIDED = torch.zeros(2, 4, 16, 7).transpose(-1, -2)
REFUSED = {
    "dropout": (qkv(), {"dropout": 0.1}, "dropout is 0.1 and the CPU kernel has none"),
    "rank": (
        qkv((4, 5, 16), (4, 7, 16)),
        {},
        "q, k and v have 3, 3 and 3 dimensions, not 4",
    ),
    "head_dim": (
        qkv(v=(2, 4, 7, 24)),
        {},
        "head_dim of q, k and v is 16, 16 and 24",
    ),
    "batch": (qkv(k=(1, 4, 7, 16)), {}, "q, k and v have batch sizes 2, 1 and 1"),
    "heads": (qkv(k=(2, 1, 7, 16)), {}, "q, k and v have 4, 1 and 1 heads"),
    "kv heads": (
        qkv(k=(2, 2, 7, 16), v=(2, 1, 7, 16)),
        {"enable_gqa": True},
        "k has 2 heads and v has 1",
    ),
    "mask": (
        qkv(),
        {"mask": torch.zeros(4, 5, 7)},
        "the mask is (4, 5, 7), not (5, 7) or (2, 4, 5, 7) with 1 for any of them",
    ),
    "mask with grad": (
        qkv(),
        {"mask": torch.zeros(5, 7, requires_grad=True)},
        "the mask requires grad",
    ),
    "stride": (
        [qkv()[0], STRIDED, STRIDED],
        {},
        "the stride of the last axis is 7 in k, 7 in v, not 1",
    ),
}
TAKEN = {
    "plain": (qkv(), {}),
    "causal": (qkv(), {"is_causal": True}),
    "causal and mask": (qkv(), {"is_causal": True, "mask": torch.zeros(5, 7)}),
    "groups": (qkv(k=(2, 2, 7, 16)), {"enable_gqa": True}),
    "broadcast mask": (qkv(), {"mask": torch.zeros(2, 1, 1, 7, dtype=torch.bool)}),
    "tokens first": ([x.transpose(1, 2) for x in qkv((2, 5, 4, 16), (2, 7, 4, 16))], {}),
    "float64": (qkv(dtype=torch.float64), {}),
    "float16": (qkv(dtype=torch.float16), {}),
}


def run(tensors, options):
    """Return the names of the ops that attention runs."""
    renamed = {"mask": "attn_mask", "dropout": "dropout_p"}
    with OpNames() as ops:
        scaled_dot_product_attention(
            *tensors, **{renamed.get(name, name): value for name, value in options.items()}
        )
    return ops.names


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_why(case):
    """One thing against the CPU kernel is one reason with its numbers; bmm and softmax run."""
    tensors, options, reason = REFUSED[case]
    path = sdpa_path(call(*tensors, **options), CPU)
    assert path == Choice(kernel="math", refused=(("flash", (reason,)),))
    names = run(tensors, options)
    assert FLASH_OP not in names
    assert "aten._safe_softmax" in names


@pytest.mark.parametrize("case", TAKEN)
def test_nothing_is_said_of_a_kernel_that_runs(case):
    """The CPU kernel takes these, and no softmax is dispatched."""
    tensors, options = TAKEN[case]
    assert sdpa_path(call(*tensors, **options), CPU) == FLASH
    names = run(tensors, options)
    assert FLASH_OP in names
    assert "aten._safe_softmax" not in names


def test_every_reason_is_given():
    """Two things against a kernel are two reasons, in torch's order."""
    path = sdpa_path(call(*qkv(v=(2, 4, 7, 24)), dropout=0.5), CPU)
    dropout, head_dim = (REFUSED[case][2] for case in ("dropout", "head_dim"))
    reasons = (dropout.replace("0.1", "0.5"), head_dim)
    assert path == Choice(kernel="math", refused=(("flash", reasons),))


def test_no_kernel_for_no_elements():
    """An empty operand gives zeros: neither a kernel nor a softmax runs."""
    tensors = qkv(k=(2, 4, 0, 16))
    reasons = ("k has no elements", "v has no elements")
    assert sdpa_path(call(*tensors), CPU) == Choice(
        kernel="none", refused=(("flash", reasons), ("math", reasons))
    )
    assert not run(tensors, {}) & {FLASH_OP, "aten._safe_softmax"}


@pytest.mark.parametrize(
    ("on", "dropout", "kernel"),
    [("math", 0.0, "math"), ("flash", 0.0, "flash"), ("flash", 0.1, "none")],
)
@pytest.mark.filterwarnings("ignore:.*Flash attention kernel not used.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*non-zero dropout.*:UserWarning")
def test_kernels_that_are_switched_off(on, dropout, kernel):
    """What sdpa_kernel leaves out does not run; with all out torch raises."""
    hardware = Hardware(device="cpu", enabled=frozenset({on}))
    path = sdpa_path(call(*qkv(), dropout=dropout), hardware)
    assert path.kernel == kernel
    if on == "math":
        assert path.refused == (("flash", ("the flash kernel is switched off",)),)
    with sdpa_kernel(next(backend for backend, name in NAMES.items() if name == on)):
        if kernel == "none":
            assert path.refused[1] == ("math", ("the math kernel is switched off",))
            with pytest.raises(RuntimeError, match="No available kernel"):
                torch._fused_sdp_choice(*qkv(), dropout_p=dropout)
        else:
            assert NAMES[SDPBackend(torch._fused_sdp_choice(*qkv()))] == kernel


# CUDA: read from the source, never run on a GPU. Documented cases alone.

HALF = (2, 4, 128, 64)
A100, RTX, H100, B200, T4 = (8, 0), (8, 6), (9, 0), (10, 0), (7, 5)


def half(q=HALF, k=None, v=None, dtype=torch.bfloat16):
    """Return q, k and v on meta, which has shapes and strides alone."""
    shapes = (q, k or q, v or k or q)
    return [torch.empty(shape, dtype=dtype, device="meta") for shape in shapes]


def meta(*shape, **options):
    """Return a mask on meta."""
    return torch.empty(shape, device="meta", **{"dtype": torch.bool, **options})


@pytest.mark.parametrize(
    ("capability", "tensors", "options", "kernel"),
    [
        (A100, half(), {}, "flash"),
        (A100, half(), {"is_causal": True, "dropout": 0.1}, "flash"),
        (A100, half(k=(2, 2, 128, 64)), {"enable_gqa": True}, "flash"),
        (A100, half((2, 4, 128, 20)), {}, "flash"),
        (A100, half(dtype=torch.float32), {}, "efficient"),
        (A100, half((2, 4, 128, 264)), {}, "efficient"),
        (A100, half(), {"mask": meta(128, 128)}, "efficient"),
        (A100, half(), {"mask": meta(4, 128, 128)}, "efficient"),
        (A100, half(v=(2, 4, 128, 32)), {}, "efficient"),
        (A100, half(k=(2, 4, 256, 64)), {"is_causal": True}, "efficient"),
        (A100, half((2, 4, 128, 20)), {"mask": meta(128, 128)}, "math"),
        (A100, half(k=(2, 2, 128, 64)), {"enable_gqa": True, "mask": meta(128, 128)}, "math"),
        (A100, half(dtype=torch.float64), {}, "math"),
        (T4, half(dtype=torch.float16), {}, "efficient"),
        (T4, half(), {}, "math"),
        (H100, half(), {"mask": meta(2, 1, 1, 128)}, "cudnn"),
        (H100, half((2, 4, 128, 256)), {}, "cudnn"),
        (H100, half(), {"dropout": 0.1}, "flash"),
        (H100, half((2, 4, 128, 20)), {}, "flash"),
        (H100, half(k=(2, 4, 1, 64)), {}, "flash"),
        (B200, half((2, 4, 128, 256)), {}, "flash"),
        (B200, half((2, 4, 128, 192), v=(2, 4, 128, 128)), {}, "cudnn"),
    ],
)
def test_cuda_kernels(capability, tensors, options, kernel):
    """The kernel that the source gives each call; read, not run on a GPU."""
    hardware = Hardware(device="cuda", capability=capability)
    assert sdpa_path(call(*tensors, **options), hardware).kernel == kernel


def test_cuda_reasons():
    """A call that no fused CUDA kernel takes is told each one's reasons."""
    tensors = half(k=(2, 2, 64, 20), q=(2, 4, 128, 20))
    options = {"enable_gqa": True, "is_causal": True, "mask": meta(128, 64).T.contiguous().T}
    path = sdpa_path(call(*tensors, **options), Hardware(device="cuda", capability=H100))
    stride = "the stride of the last axis is 128 in mask, not 1"
    assert path == Choice(
        kernel="math",
        refused=(
            ("cudnn", (stride, "head_dim of q and v is 20 and 20, not multiples of 8")),
            (
                "flash",
                (
                    "a mask is given and the kernel takes none",
                    "is_causal with 128 queries and 64 keys",
                    stride,
                ),
            ),
            (
                "efficient",
                (
                    "head_dim of q and v is 20 and 20, not multiples of 8",
                    stride,
                    "q, k and v have 4, 2 and 2 heads, and the kernel has no groups of heads",
                ),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("capability", "head_dim", "dropout", "taken"),
    [
        (RTX, 192, 0.1, True),
        (RTX, 200, 0.0, False),
        (RTX, 256, 0.0, True),
        (RTX, 256, 0.1, False),
        ((12, 0), 224, 0.0, False),
        (A100, 256, 0.1, True),
    ],
)
def test_cuda_flash_backward(capability, head_dim, dropout, taken):
    """Small chips have no flash backward for some wide heads: only with grad is it refused."""
    tensors = [x.requires_grad_() for x in half((2, 4, 128, head_dim))]
    hardware = Hardware(device="cuda", capability=capability)
    trained = call(*tensors, dropout=dropout)
    assert (sdpa_path(trained, hardware).kernel == "flash") == taken
    with torch.no_grad():
        assert sdpa_path(call(*tensors, dropout=dropout), hardware).kernel == "flash"


def test_cuda_offsets():
    """The efficient kernel starts at whole vectors of 16 bytes; flash does not mind."""
    q, k, v = torch.empty(3, 2 * 4 * 128 * 64 + 4, device="meta")[:, 4:].view(3, 2, 4, 128, 64)
    odd = torch.empty(2 * 4 * 128 * 64 + 1, device="meta")[1:].view(HALF)
    assert sdpa_path(call(q, k, v), Hardware(device="cuda")).kernel == "efficient"
    path = sdpa_path(call(odd, k, v), Hardware(device="cuda"))
    assert path.kernel == "math"
    reason = "q begins at an element that is no multiple of 4 of its storage"
    assert path.refused[1] == ("efficient", (reason,))


def test_cudnn_comes_last_on_most_devices():
    """Off Hopper and Blackwell, cuDNN is tried after math: only without it."""
    hardware = Hardware(device="cuda", enabled=BACKENDS - {"flash", "efficient"})
    assert sdpa_path(call(*half()), hardware).kernel == "math"
    alone = Hardware(device="cuda", enabled=frozenset({"cudnn"}))
    assert sdpa_path(call(*half()), alone).kernel == "cudnn"
