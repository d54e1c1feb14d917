"""Code of the user's own: where it is, what it is made with, what goes in. No torch in here."""

from attntrace.spec.subject.load import LoadedSubject as LoadedSubject
from attntrace.spec.subject.load import Typed as Typed
from attntrace.spec.subject.load import asks_for_subject as asks_for_subject
from attntrace.spec.subject.load import load_subject as load_subject
from attntrace.spec.subject.model import Subject as Subject
from attntrace.spec.subject.show import show_subject as show_subject
