"""A vector for each place, added to the tokens or to what q and k are made from."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from attntrace.blocks.axes import Axes
from attntrace.capture.tap import Tap, Taps
from attntrace.spec import Spec


def sinusoids(place: Tensor, width: int, base: float) -> Tensor:
    """Return sin in even and cos in odd columns, of place / base^(2 floor(i/2) / width).

    Shapes: place (tokens,) -> (tokens, width), float32; an odd width ends with a sine.

    Source: Vaswani et al., "Attention Is All You Need" (2017), section 3.5.
    """
    column = torch.arange(width, device=place.device)
    wavelength = base ** (2 * (column // 2).float() / width)
    angle = place.float().unsqueeze(1) / wavelength
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())


class Sinusoidal(nn.Module):
    """The sines and cosines of each place, computed, or kept as a parameter that is not trained.

    Shapes: -> (tokens, width).
    """

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        self.first, self.tokens = spec.first_place, spec.tokens
        self.width, self.base = width, spec.positions.theta
        self.table = None
        if spec.positions.stored:
            self.table = nn.Parameter(self.compute(torch.empty(0).device), requires_grad=False)

    def compute(self, device: torch.device) -> Tensor:
        """Return the table for this sequence."""
        place = torch.arange(self.first, self.first + self.tokens, device=device)
        return sinusoids(place, self.width, self.base)

    def forward(self, like: Tensor) -> Tensor:
        """Return (tokens, width), with the device and dtype of `like`."""
        return self.compute(like.device).to(like.dtype) if self.table is None else self.table


class Learned(nn.Module):
    """A row of a table for each place.

    Shapes: -> (tokens, width).
    """

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        self.first, self.tokens = spec.first_place, spec.tokens
        self.table = nn.Embedding(spec.positions.max or self.first + spec.tokens, width)

    def forward(self, like: Tensor) -> Tensor:
        """Return (tokens, width), with the device of `like`."""
        place = torch.arange(self.first, self.first + self.tokens, device=like.device)
        rows: Tensor = self.table(place)
        return rows


class Sine2d(nn.Module):
    """Sines of the row in the first half of the features, of the column in the second.

    Shapes: -> (tokens, width); a class token in front has zeros.

    Source: Carion et al., "End-to-End Object Detection with Transformers" (2020), appendix A.4;
    places are 1 .. n over n, times 2 pi, as in its code.
    """

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        assert spec.map is not None, "a rule asks for a map"
        self.map, self.width, self.base = spec.map, width, spec.positions.theta
        self.in_front = spec.tokens - spec.map[0] * spec.map[1]

    def forward(self, like: Tensor) -> Tensor:
        """Return (tokens, width), with the device and dtype of `like`."""
        rows, columns = (self.side(size, like.device) for size in self.map)
        down = rows.unsqueeze(1).expand(-1, self.map[1], -1)
        across = columns.unsqueeze(0).expand(self.map[0], -1, -1)
        table = torch.cat((down, across), dim=-1).flatten(0, 1).to(like.dtype)
        return in_front(table, self.in_front)

    def side(self, size: int, device: torch.device) -> Tensor:
        """Return (size, width / 2), a row for each place along one side."""
        place = torch.arange(1, size + 1, device=device) / (size + 1e-6) * 2 * math.pi
        return sinusoids(place, self.width // 2, self.base)


class Learned2d(nn.Module):
    """A learned half of the features for the column, another for the row.

    Shapes: -> (tokens, width); a class token in front has zeros.

    Source: as `Sine2d`, its learned variant.
    """

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        assert spec.map is not None, "a rule asks for a map"
        self.map = spec.map
        self.in_front = spec.tokens - spec.map[0] * spec.map[1]
        self.rows = nn.Embedding(spec.map[0], width // 2)
        self.columns = nn.Embedding(spec.map[1], width // 2)

    def forward(self, like: Tensor) -> Tensor:
        """Return (tokens, width), with the device of `like`."""
        rows, columns = (torch.arange(size, device=like.device) for size in self.map)
        down = self.rows(rows).unsqueeze(1).expand(-1, self.map[1], -1)
        across = self.columns(columns).unsqueeze(0).expand(self.map[0], -1, -1)
        return in_front(torch.cat((across, down), dim=-1).flatten(0, 1), self.in_front)


def in_front(table: Tensor, zeros: int) -> Tensor:
    """Return a table with rows of zeros before it."""
    return torch.cat((table.new_zeros(zeros, table.shape[1]), table)) if zeros else table


TABLES = {
    "sinusoidal": Sinusoidal,
    "learned": Learned,
    "sine-2d": Sine2d,
    "learned-2d": Learned2d,
}


def width_of(spec: Spec, axes: Axes) -> tuple[int, str]:
    """Return the width of what positions are added to, and its name: table, layers or input."""
    narrow = spec.stack.embedding_dim if spec.stack.project else None
    if narrow is not None and spec.positions_on == "input":
        return narrow, "embedding_dim"
    return (spec.chan, axes.chan) if spec.embeds else (spec.dim, axes.dim)


class Positions(nn.Module):
    """The table of the spec's kind, as wide as the tokens that it is added to.

    Shapes: x (batch, tokens, width) -> (tokens, width).
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        width, name = width_of(spec, axes)
        self.table = TABLES[spec.positions.kind](spec, width)
        words = f"{spec.positions.kind} positions"
        self.tap = Taps(Tap("positions", f"{axes.tokens} {name}", words))

    def forward(self, x: Tensor) -> Tensor:
        """Return the positions of the tokens of x."""
        return self.tap.positions(self.table(x))


class InputPositions(nn.Module):
    """Tokens + positions.

    Shapes: x (batch, tokens, width) -> the same.
    """

    def __init__(self, spec: Spec, axes: Axes) -> None:
        super().__init__()
        self.positions = Positions(spec, axes)
        _, name = width_of(spec, axes)
        placed = f"{axes.batch} {axes.tokens} {name}"
        self.tap = Taps(Tap("x_placed", placed, "x + positions"))

    def forward(self, x: Tensor) -> Tensor:
        """Return x + positions."""
        return self.tap.x_placed(x + self.positions(x))
