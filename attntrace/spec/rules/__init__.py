"""What must hold between the fields of a spec whose fields are each valid."""

from __future__ import annotations

from collections.abc import Iterator

from attntrace.errors import Problem
from attntrace.spec.block import Spec
from attntrace.spec.rules.attention import attention_rules
from attntrace.spec.rules.belongs import belongs_rules
from attntrace.spec.rules.feed_forward import feed_forward_rules
from attntrace.spec.rules.impl import impl_rules
from attntrace.spec.rules.kinds import kind_rules
from attntrace.spec.rules.mask import mask_rules
from attntrace.spec.rules.positions import positions_rules
from attntrace.spec.rules.recurrent import recurrent_rules
from attntrace.spec.rules.sizes import size_rules
from attntrace.spec.rules.stack import stack_rules
from attntrace.spec.rules.vision import vision_rules
from attntrace.spec.run import run_rules


def rules(spec: Spec) -> Iterator[Problem]:
    """Yield every problem between the fields of a spec whose fields are each valid."""
    yield from belongs_rules(spec)
    yield from size_rules(spec)
    yield from attention_rules(spec)
    yield from kind_rules(spec)
    yield from impl_rules(spec)
    yield from positions_rules(spec)
    yield from mask_rules(spec)
    yield from feed_forward_rules(spec)
    yield from stack_rules(spec)
    yield from vision_rules(spec)
    yield from recurrent_rules(spec)
    yield from run_rules(spec)
