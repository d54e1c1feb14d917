"""Why a call failed, and what would make it work: pure functions of a `FailedCall`.

One file a family, each with an `explain` for its ops; `explained` asks the family of the op.
"""

from __future__ import annotations

from attntrace.analysis.diagnosis.call import Called as Called
from attntrace.analysis.diagnosis.call import Culprit as Culprit
from attntrace.analysis.diagnosis.call import Explained as Explained
from attntrace.analysis.diagnosis.call import FailedCall as FailedCall
from attntrace.analysis.diagnosis.call import Given as Given
from attntrace.analysis.diagnosis.call import Proposal as Proposal
from attntrace.analysis.diagnosis.families import explained as explained
