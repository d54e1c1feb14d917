"""WHAT to build: frozen models, and the way from flags and YAML to them. No torch in here."""

from attntrace.spec.block import Spec as Spec
from attntrace.spec.expect import Expectation as Expectation
from attntrace.spec.expect import expectations as expectations
from attntrace.spec.load import Loaded as Loaded
from attntrace.spec.load import load as load
from attntrace.spec.show import show as show
from attntrace.spec.subject import LoadedSubject as LoadedSubject
from attntrace.spec.subject import Subject as Subject
from attntrace.spec.subject import Typed as Typed
from attntrace.spec.subject import asks_for_subject as asks_for_subject
from attntrace.spec.subject import load_subject as load_subject
from attntrace.spec.subject import show_subject as show_subject
