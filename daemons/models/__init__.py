from daemons.models.agent import AgentProgram
from daemons.models.process import Process
from daemons.models.scratchpad import Scratchpad, ScratchpadRevision

__all__ = ["AgentProgram", "Process", "Scratchpad", "ScratchpadRevision"]
