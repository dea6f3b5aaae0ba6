"""Time: engines that turn a task graph and task durations into a timeline."""

from accelsim.engine.choose import run
from accelsim.engine.timeline import Timeline

__all__ = ["Timeline", "run"]
