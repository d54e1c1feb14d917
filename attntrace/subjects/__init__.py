"""The user's own code: found, built and given inputs. Nothing of it is left behind."""

from attntrace.subjects.build import Ready as Ready
from attntrace.subjects.build import opened as opened
from attntrace.subjects.faults import blamed as blamed
from attntrace.subjects.inputs import input_nbytes as input_nbytes
from attntrace.subjects.resized import Resizable as Resizable
from attntrace.subjects.resized import of_call as of_call
