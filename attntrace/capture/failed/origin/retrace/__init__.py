"""The constructors of a module that stands, gone through again on paper: nothing of theirs runs."""

from attntrace.capture.failed.origin.retrace.objects import attributes as attributes
from attntrace.capture.failed.origin.retrace.objects import child as child
from attntrace.capture.failed.origin.retrace.values import UNKNOWN as UNKNOWN
from attntrace.capture.failed.origin.retrace.values import Built as Built
from attntrace.capture.failed.origin.retrace.values import Sizes as Sizes
from attntrace.capture.failed.origin.retrace.values import Value as Value
from attntrace.capture.failed.origin.retrace.values import plain as plain
