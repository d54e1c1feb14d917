"""The whole program: a spec becomes a block, the block runs once, the run becomes a trace.

Rooms are entered where they are needed: `--help` must wait neither for torch nor for pydantic.
"""

from attntrace.api.explain import explain as explain
from attntrace.api.session import Session as Session
from attntrace.api.session import watch as watch
from attntrace.api.specs import build as build
from attntrace.api.specs import load as load
from attntrace.api.specs import run as run
from attntrace.api.traced import Trace as Trace
from attntrace.api.traced import trace as trace
