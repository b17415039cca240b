"""The dashboard's variables and rows, in their order (pure)."""

from .gateway_rows import CLIENTS, DELIVERY, OVERVIEW
from .service_rows import PROCESSES, TRACES, USERS
from .shapes import Variable

__all__ = ["ROWS", "VARIABLES"]

VARIABLES = (
    Variable("job", 'up{job=~".*tidewire.*"}', "job", ".*tidewire.*"),
    Variable("instance", 'up{job=~"$job"}', "instance", ".*"),
)

ROWS = (OVERVIEW, DELIVERY, CLIENTS, USERS, PROCESSES, TRACES)
