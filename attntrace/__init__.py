"""attntrace: every intermediate tensor of an attention block, by name."""

from attntrace.api import Session as Session
from attntrace.api import Trace as Trace
from attntrace.api import build as build
from attntrace.api import explain as explain
from attntrace.api import load as load
from attntrace.api import run as run
from attntrace.api import trace as trace
from attntrace.api import watch as watch
from attntrace.errors import AttntraceError as AttntraceError
from attntrace.errors import BuildError as BuildError
from attntrace.errors import ForwardError as ForwardError
from attntrace.errors import SettingsError as SettingsError
from attntrace.errors import TooLargeError as TooLargeError
from attntrace.errors import TraceFileError as TraceFileError
from attntrace.version import __version__ as __version__
