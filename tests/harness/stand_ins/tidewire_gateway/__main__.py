import os

from stand_in import serve

serve("gateway", int(os.environ["TIDEWIRE_GATEWAY__PORT"]))
