"""`expect:` of a YAML file: what must be true of the run, in the names and sizes of the block."""

from attntrace.spec.expect.model import Expectation as Expectation
from attntrace.spec.expect.read import expectations as expectations
