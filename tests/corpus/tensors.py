"""Odd tensors: sparse, nested, quantized, complex; and ops whose shapes depend on the data."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.masked import masked_tensor

from tests.corpus.case import case, given


def _x(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


@case(lambda: given(torch.eye(5).to_sparse(), _x(5, 3)))
class SparseCOO(nn.Module):
    """An adjacency matrix in coordinates times features, as a graph network has it."""

    def forward(self, adjacency, x):
        twice = adjacency + adjacency
        out = torch.sparse.mm(twice.coalesce(), x)
        made = torch.sparse_coo_tensor([[0, 2], [1, 0]], [3.0, 4.0], (3, 5))
        return out, made @ x, made.coalesce().values(), twice.to_dense()


@case(lambda: given(_x(4, 6).relu(), _x(6, 3)))
class SparseCSR(nn.Module):
    """Compressed rows, columns, and blocks."""

    def forward(self, x, y):
        rows = x.detach().to_sparse_csr()
        columns = x.detach().to_sparse_csc()
        blocks = x.detach().to_sparse_bsr((2, 2))
        return rows @ y, rows.crow_indices(), columns.to_dense(), rows, blocks


@case(lambda: given(_x(3, 5), _x(2, 5)))
class NestedStrided(nn.Module):
    """Nested tensors of parts that differ in length."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 4)

    def forward(self, x, y):
        parts = torch.nested.nested_tensor([x.detach(), y.detach()])
        parts = self.layer(parts).relu()
        return parts, torch.nested.to_padded_tensor(parts, 0.0), parts.unbind()[1]


@case(lambda: given(_x(3, 5), _x(2, 5)))
class NestedJagged(nn.Module):
    """The same in the jagged layout, whose one size is a symbol."""

    def __init__(self):
        super().__init__()
        torch.nested.nested_tensor([torch.ones(1, 5)], layout=torch.jagged)  # torch keeps a dummy
        self.layer = nn.Linear(5, 4)

    def forward(self, x, y):
        parts = torch.nested.nested_tensor([x, y], layout=torch.jagged)
        out = self.layer(parts) * 2
        return out.values(), out, torch.stack([part.sum() for part in out.unbind()])


@case(lambda: given(_x(3, 4)))
class Quantized(nn.Module):
    """Tensors of whole numbers with a scale, by tensor and by channel."""

    def forward(self, x):
        coarse = torch.quantize_per_tensor(x.detach(), 0.1, 0, torch.qint8)
        channels = torch.quantize_per_channel(
            x.detach(), torch.tensor([0.1, 0.2, 0.3]), torch.zeros(3), 0, torch.quint8
        )
        return (
            coarse.dequantize(),
            channels.int_repr(),
            torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127),
        )


@case(lambda: given(_x(4, 8)))
class Complex(nn.Module):
    """Complex numbers: Fourier transforms, views as real, conjugates that are not made yet."""

    def forward(self, x):
        f = torch.fft.rfft(x)
        z = torch.polar(x.abs(), x)
        mixed = torch.view_as_complex(torch.view_as_real(z).contiguous()) * z.conj()
        back = torch.fft.irfft(f * f.conj(), n=8)
        return f, mixed.real, mixed.imag, back, z.mH.resolve_conj(), torch.fft.fftshift(x)


@case(lambda: given(_x(4, 5), torch.arange(4) % 2 == 0))
class BoolsAndInts(nn.Module):
    """Comparisons, bit arithmetic, whole numbers of each width."""

    def forward(self, x, mask):
        whole = (x * 10).to(torch.int32)
        bits = (whole & 7) | (whole << 1) ^ 3
        bytes_ = x.abs().to(torch.uint8)
        return mask & (x[:, 0] > 0), ~mask, bits, whole // 3, whole % 3, bytes_, mask.sum()


@case(lambda: given(_x(4, 5)))
class LowPrecision(nn.Module):
    """Half, bfloat16, double and 8 bits, side by side."""

    def forward(self, x):
        half = x.half() + x.half()
        return half, x.bfloat16() @ x.bfloat16().T, x.double().sum(), x.to(torch.float8_e4m3fn)


@case(lambda: given(_x(4, 5)))
class DataDependentShapes(nn.Module):
    """How large the output is shows only in the data."""

    def forward(self, x):
        big = x > 0.1
        rows, columns = big.nonzero(as_tuple=True)
        unique, inverse, counts = torch.unique(
            (x * 2).long(), return_inverse=True, return_counts=True
        )
        runs = torch.unique_consecutive(columns)
        return (
            x[big],
            x.masked_select(big),
            rows,
            unique,
            inverse,
            counts,
            runs,
            torch.argwhere(big),
        )


@case(lambda: given(_x(4, 5), torch.tensor([2, 0, 3])))
class Indexing(nn.Module):
    """Every kind of index, to read and to write."""

    def forward(self, x, ids):
        y = x.clone()
        y[ids] = 0
        y[ids, ids] += 1
        y[..., None, -1] = 5
        y[y < 0] = y[y < 0] * 0.1
        y.index_put_((ids, ids), torch.ones(3), accumulate=True)
        return y, x[1:3, ::2], x[None, ..., ids], x[[0, 2]], x[-1], x[ids[0]], x[:, [True] * 5]


@case(lambda: given(_x(4, 5), torch.tensor([[0, 1], [2, 0], [1, 1], [4, 3]])))
class ScatterGather(nn.Module):
    """gather, scatter, index_add, take_along_dim, and their kin."""

    def forward(self, x, ids):
        got = x.gather(1, ids)
        back = torch.zeros_like(x).scatter_(1, ids, got)
        summed = torch.zeros(5, 5).index_add(0, torch.tensor([0, 2, 2, 4]), x)
        most = torch.zeros(4, 5).scatter_reduce(1, ids, got, "amax")
        return back, summed, most, x.take_along_dim(ids, 1), x.index_select(1, ids[0]), x.take(ids)


@case(lambda: given(_x(4, 5)))
class Sorting(nn.Module):
    """sort, topk, kthvalue, cumulative ops, bins."""

    def forward(self, x):
        values, order = x.sort(descending=True)
        top = x.topk(2, dim=-1)
        middle = x.median(dim=0)
        best, where = x.cummax(0)
        bins = torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0]))
        return values, order.argsort(), top, middle, x.kthvalue(2).values, best, where, bins


@case(lambda: given(_x(2, 6, 4), _x(2, 4, 6)))
class Einsums(nn.Module):
    """einsum, tensordot, kron and chains of products."""

    def forward(self, x, y):
        both = torch.einsum("bij,bjk->bik", x, y)
        trace = torch.einsum("bii->b", both)
        outer = torch.einsum("i,j", x[0, 0], y[0, :, 0])
        chain = torch.linalg.multi_dot([x[0], y[0], x[1]])
        return (
            trace,
            outer,
            torch.tensordot(x, y, dims=([1, 2], [2, 1])),
            torch.kron(x[0, :2], y[0, :, :2]),
            chain,
        )


@case(lambda: given(_x(3, 4, 4)))
class LinearAlgebra(nn.Module):
    """Factorizations, solvers, norms and determinants."""

    def forward(self, x):
        good = x @ x.mT + 4 * torch.eye(4)
        factor = torch.linalg.cholesky(good)
        q, r = torch.linalg.qr(x)
        values, vectors = torch.linalg.eigh(good)
        solved = torch.linalg.solve(good, x)
        size = torch.linalg.matrix_norm(x), torch.linalg.slogdet(good), good.logdet()
        return factor, q @ r, values, vectors.sum(), solved, torch.linalg.inv(good), size


@case(lambda: given(_x(2, 4, 8, 8)))
class Images(nn.Module):
    """Patches, folds, interpolation, shuffles, padding, grids."""

    def forward(self, x):
        patches = F.unfold(x, 4, stride=2)
        folded = F.fold(patches, (8, 8), 4, stride=2)
        windows = x.unfold(2, 4, 4).unfold(3, 4, 4)
        larger = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        grid = F.affine_grid(torch.eye(2, 3).expand(2, 2, 3), (2, 4, 5, 5), align_corners=False)
        sampled = F.grid_sample(x, grid, align_corners=False)
        padded = F.pad(x, (1, 2, 0, 1), mode="reflect")
        return folded, windows.sum((-1, -2)), F.pixel_shuffle(larger, 2), sampled, padded


@case(lambda: given(_x(2, 3, 8, 8)))
class Convolutions(nn.Module):
    """Transposed, grouped, dilated, depthwise convolutions; poolings with indices and without."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 6, 3, padding="same", groups=3)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.line = nn.Conv1d(4, 5, 3, dilation=2, padding_mode="circular", padding=2)
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, x):
        small, places = self.pool(self.down(x).relu())
        wide = self.up(self.unpool(small, places))
        line = self.line(wide.flatten(2))
        return F.adaptive_avg_pool2d(wide, 3), F.lp_pool2d(x, 2, 2), line.mean(-1)


@case(lambda: given(torch.tensor([1, 2, 4, 5, 4, 3]), torch.tensor([0, 2, 2])))
class Embeddings(nn.Module):
    """Bags of embeddings, an embedding with a norm that it enforces in place, one hot."""

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(7, 4, mode="mean")
        self.limited = nn.Embedding(7, 4, padding_idx=0, max_norm=1.0)

    def forward(self, ids, offsets):
        return self.bag(ids, offsets), self.limited(ids), F.one_hot(ids, 7)


@case(lambda: given(_x(3, 5), torch.tensor([1, 0, 4])))
class Losses(nn.Module):
    """Losses of all sorts, with targets."""

    def forward(self, x, target):
        return {
            "entropy": F.cross_entropy(x, target, label_smoothing=0.1),
            "bce": F.binary_cross_entropy_with_logits(x, (x > 0).float(), reduction="none"),
            "huber": nn.HuberLoss()(x, x * 2),
            "kl": F.kl_div(x.log_softmax(-1), x.softmax(-1), reduction="batchmean"),
            "cosine": F.cosine_similarity(x, x.flip(0)),
            "distance": torch.cdist(x, x),
        }


@case(lambda: given(_x(3, 5)))
class WhereAndMasks(nn.Module):
    """where in all its forms, fills, clamps, nan."""

    def forward(self, x):
        mask = x > 0
        filled = x.masked_fill(~mask, float("-inf")).softmax(-1)
        holes = torch.where(mask, x, float("nan"))
        return filled, holes, holes.nan_to_num(0.5), torch.where(mask), x.clamp(-0.5, 0.5), x.sign()


@case(lambda: given(_x(3, 5)))
class MaskedTensors(nn.Module):
    """Masked tensors, a subclass that dispatches by itself."""

    def forward(self, x):
        masked = masked_tensor(x.detach(), x > 0)
        return (masked * 2).get_data(), torch.exp(masked).get_mask()


@case(lambda: given(_x(3, 5)))
class NamedDimensions(nn.Module):
    """Distributions sample and score."""

    def forward(self, x):
        normal = torch.distributions.Normal(x, torch.ones_like(x))
        kind = torch.distributions.Categorical(logits=x)
        drawn = kind.sample()
        return normal.rsample(), kind.log_prob(drawn), kind.entropy(), normal.cdf(x)
