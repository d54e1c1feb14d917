"""Why a call failed, and what would make it work: pure functions of a `FailedCall`.

`call` is what is known of it, `families` says who explains which op: one module a family, each with
an `explain`, in a room of its kind. `text`, `writing` and `shapes` are what all of them share.
"""

from attntrace.analysis.diagnosis.call import Called as Called
from attntrace.analysis.diagnosis.call import Culprit as Culprit
from attntrace.analysis.diagnosis.call import Explained as Explained
from attntrace.analysis.diagnosis.call import FailedCall as FailedCall
from attntrace.analysis.diagnosis.call import Given as Given
from attntrace.analysis.diagnosis.call import Proposal as Proposal
