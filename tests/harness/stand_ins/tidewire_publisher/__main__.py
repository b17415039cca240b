import os

from stand_in import serve

serve("publisher", int(os.environ["TIDEWIRE_PUBLISHER__PORT"]))
