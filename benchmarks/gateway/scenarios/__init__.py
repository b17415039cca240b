"""What is measured, by the figures of docs/performance.md; each adds its samples and figures to the results."""

from collections.abc import Callable, Mapping, Sequence

from ...peers.peers import Peer
from ..plan import Plan
from ..report import Results
from ..rig import Rig
from .dashboard import dashboard
from .fanout import fanout
from .growth import growth
from .handshake import handshake
from .idle import idle
from .ingest import ingest
from .resume import resume
from .slow import slow
from .targeted import targeted
from .tracing import tracing

__all__ = ["FIGURES", "Scenario"]

Scenario = Callable[[Rig, Plan, Sequence[Peer], Results], None]

FIGURES: Mapping[str, Sequence[Scenario]] = {
    "B1": (fanout,),
    "B2": (fanout,),
    "B3": (dashboard,),
    "B4": (idle,),
    "B5": (fanout,),
    "B6": (slow,),
    "B7": (ingest,),
    "B8": (handshake,),
    "B9": (resume,),
    "B10": (targeted,),
    "B11": (tracing,),
    "B12": (growth, ingest),
}
