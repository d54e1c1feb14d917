"""The full record as JSON, as `docs/trace-json.md` describes it."""

from __future__ import annotations

import json
from dataclasses import asdict

from attntrace.analysis.copies import copies
from attntrace.analysis.flops import total_flops
from attntrace.analysis.kernel import attention_kernel
from attntrace.analysis.memory import curve, memory_report
from attntrace.analysis.timeline import alive_at_peak
from attntrace.record import Trace


def to_json(trace: Trace) -> str:
    """Return every fact, and what analysis makes of them: memory, timeline, kernel and FLOPs."""
    document = {
        **trace.to_dict(),
        "memory": asdict(memory_report(trace)),
        "timeline": [asdict(moment) for moment in curve(trace)],
        "alive_at_peak": [asdict(one) for one in alive_at_peak(trace)],
        "copies": [asdict(copy) for copy in copies(trace)],
        "kernel": attention_kernel(trace),
        "flops": total_flops(trace.ops),
    }
    return json.dumps(document, indent=1) + "\n"
