"""WHAT to build: frozen models, and the way from flags and YAML to them. No torch in here."""

from attntrace.spec.block import Spec as Spec
from attntrace.spec.load import Loaded as Loaded
from attntrace.spec.load import load as load
from attntrace.spec.show import show as show
