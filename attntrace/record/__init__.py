"""The facts of one run. Frozen, made of names, ints and strings, and nothing that needs torch.

Capture writes these records, analysis and render read them, and tests fake them. A number that was
not measured is `None`. `docs/trace-json.md` documents the JSON form, which has the same fields.
"""

from attntrace.record.diagnosis import TRAPS as TRAPS
from attntrace.record.diagnosis import Diagnosis as Diagnosis
from attntrace.record.diagnosis import Finding as Finding
from attntrace.record.diagnosis import Fix as Fix
from attntrace.record.diagnosis import Mark as Mark
from attntrace.record.diagnosis import Operand as Operand
from attntrace.record.diagnosis import Step as Step
from attntrace.record.diagnosis import Trap as Trap
from attntrace.record.runs import AttentionRecord as AttentionRecord
from attntrace.record.runs import Device as Device
from attntrace.record.runs import Environment as Environment
from attntrace.record.runs import ModuleRecord as ModuleRecord
from attntrace.record.runs import Owner as Owner
from attntrace.record.runs import StorageRecord as StorageRecord
from attntrace.record.tensors import LATER as LATER
from attntrace.record.tensors import Argument as Argument
from attntrace.record.tensors import Kind as Kind
from attntrace.record.tensors import OpOutput as OpOutput
from attntrace.record.tensors import OpRecord as OpRecord
from attntrace.record.tensors import Origin as Origin
from attntrace.record.tensors import Phase as Phase
from attntrace.record.tensors import Shape as Shape
from attntrace.record.tensors import TensorRecord as TensorRecord
from attntrace.record.tensors import Witness as Witness
from attntrace.record.trace import SCHEMA_VERSION as SCHEMA_VERSION
from attntrace.record.trace import Trace as Trace
