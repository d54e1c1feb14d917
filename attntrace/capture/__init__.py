"""OBSERVE: one pass over a running module, three witnesses, facts."""

from attntrace.capture.device import available_nbytes as available_nbytes
from attntrace.capture.device import missing_device as missing_device
from attntrace.capture.measure import Meter as Meter
from attntrace.capture.measure import meter_for as meter_for
from attntrace.capture.observe import Asked as Asked
from attntrace.capture.observe import Observed as Observed
from attntrace.capture.observe import observe as observe
from attntrace.capture.recording import Notes as Notes
from attntrace.capture.shortcuts import Uninitialized as Uninitialized
from attntrace.capture.sketch import parameters_of as parameters_of
from attntrace.capture.sketch import sketch as sketch
from attntrace.capture.sketch import strokes_of as strokes_of
from attntrace.capture.training import Training as Training
from attntrace.capture.watched import Watched as Watched
