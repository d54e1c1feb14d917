"""Which ops ask what of the number formats of their tensors (PyTorch 2.13, CPU and CUDA)."""

from __future__ import annotations

ORDER = (
    "bool", "uint8", "int8", "int16", "int32", "int64",
    "float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128",
)  # fmt: skip
"""From the narrowest: mixing two of them gives the later one."""

ONE_FORMAT = frozenset({
    "matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "addmm", "addmv", "addbmm", "baddbmm",
    "addr", "linear", "bilinear", "einsum", "tensordot", "chain_matmul", "linalg_multi_dot",
    "linalg_vecdot", "linalg_solve", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "scaled_dot_product_attention", "MultiheadAttention",
    "multi_head_attention_forward", "layer_norm", "batch_norm", "group_norm", "instance_norm",
    "cdist", "lerp", "prelu", "grid_sample", "polar", "complex", "heaviside", "lstm_cell",
    "gru_cell", "rnn_tanh_cell", "rnn_relu_cell", "lstm", "gru", "rnn_tanh", "rnn_relu",
})  # fmt: skip
"""All their tensors must be of one format."""

STORED = {
    "index_copy": (0, 3), "index_add": (0, 3), "scatter": (0, 3), "scatter_add": (0, 3),
    "scatter_reduce": (0, 3), "index_put": (0, 2), "setitem": (0, 2), "masked_scatter": (0, 2),
}  # fmt: skip
"""What is written, second, must be of the format of what it is written into, first."""

INDICES = {"take": (1, "index"), "bincount": (0, "input"), "index_fill": (2, "index"),
           "repeat_interleave": (1, "repeats")}  # fmt: skip
LONG_ONLY = frozenset({"take", "index_fill"})
"""Of those that `index` leaves, they take no int32."""

FLOATS = frozenset({
    "softmax", "log_softmax", "mean", "std", "var", "std_mean", "var_mean", "norm", "normalize",
    "linalg_norm", "linalg_vector_norm", "vector_norm", "layer_norm", "batch_norm", "group_norm",
    "instance_norm", "rms_norm", "dropout", "gelu", "silu", "elu", "leaky_relu", "softplus", "glu",
    "mish", "hardswish", "celu", "cdist", "quantile", "median", "multinomial", "bernoulli",
    "normal_", "uniform_", "randn_like", "rand_like", "interpolate", "upsample", "grid_sample",
    "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "pairwise_distance", "cosine_similarity", "matrix_exp",
    "linalg_matrix_exp", "linalg_inv", "inverse", "linalg_svd", "linalg_qr", "linalg_eigh",
    "linalg_cholesky", "gumbel_softmax", "softmin", "requires_grad_", "Parameter",
    "alpha_dropout", "scaled_dot_product_attention", "feature_dropout", "dropout1d", "dropout2d",
})  # fmt: skip
"""They take no whole numbers."""

WIDE = ("fft_", "linalg_inv", "linalg_svd", "linalg_qr", "linalg_eigh", "linalg_cholesky",
        "linalg_solve", "view_as_complex", "polar", "complex", "inverse", "svd", "cholesky",
        "stft", "istft")  # fmt: skip
"""They take float32 or float64, and no 16 bits on every device."""

REAL = frozenset({
    "gt", "lt", "ge", "le", "max", "min", "argmax", "argmin", "sort", "topk", "relu", "gelu",
    "softmax", "log_softmax", "layer_norm", "clamp", "floor", "ceil", "round", "median", "amax",
    "amin", "maximum", "minimum", "silu", "cross_entropy", "mse_loss", "l1_loss",
})  # fmt: skip
"""They have no meaning for complex numbers."""

DIVIDING = frozenset({"div", "true_divide", "truediv", "divide", "sigmoid", "sqrt", "rsqrt", "exp",
                      "log", "tanh", "sin", "cos", "softmax", "reciprocal", "log1p"})  # fmt: skip
"""Of whole numbers they make floats."""
MIXING = frozenset({"add", "sub", "mul", "div", "true_divide", "truediv", "divide", "floor_divide",
                    "floordiv", "pow", "remainder", "mod", "addcmul", "addcdiv", "clamp", "lerp",
                    "maximum", "minimum", "subtract", "multiply"})  # fmt: skip
"""Their result is of the widest format that goes in."""
LARGEST = {"float16": 65504.0}
"""Where numbers that authors write may be too large."""


def is_whole(dtype: str) -> bool:
    """Return whether a format has whole numbers alone, or truth values."""
    return dtype == "bool" or dtype.startswith(("int", "uint"))


def is_float(dtype: str) -> bool:
    """Return whether a format has fractions and is not complex."""
    return dtype.startswith(("float", "bfloat"))


def kind(dtype: str) -> int:
    """Return 0 for truth values, 1 for whole numbers, 2 for floats, 3 for complex numbers."""
    if dtype == "bool":
        return 0
    return 1 if is_whole(dtype) else 2 if is_float(dtype) else 3


def rank(dtype: str) -> int:
    """Return the place of a format in `ORDER`, the last for one that is not there."""
    return ORDER.index(dtype) if dtype in ORDER else len(ORDER)


def bare(op: str) -> str:
    """Return an op without the marks of being in place or reflected: "add" for "__iadd__"."""
    name = op.strip("_")
    if op.startswith("__") and name[:1] == "i" and name[1:] in MIXING:
        return name[1:]
    if name in {"iadd", "isub", "imul", "itruediv", "ifloordiv", "ipow", "imod", "idiv"}:
        return name[1:]
    if name in {"requires_grad", "normal", "uniform"} and op.endswith("_"):
        return op
    return name


def in_place(op: str) -> bool:
    """Return whether an op writes into its first tensor."""
    return bare(op) != op.strip("_") or (op.endswith("_") and not op.endswith("__"))
