"""Where a size or a number of axes came from, and where a number format or a device."""

from attntrace.analysis.lineage.axes import made as made
from attntrace.analysis.lineage.kinds import became as became
from attntrace.analysis.lineage.trail import Trail as Trail
from attntrace.analysis.lineage.trail import came_from as came_from
from attntrace.analysis.lineage.writes import writes as writes
