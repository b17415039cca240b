"""The command `tidewire`: collects the commands of its modules and turns errors into one sentence.

Exit codes: 0 done; 1 a failure that is a bug (with its trace); 2 an error that the message explains,
with the cure; 130 interrupted.
"""

import sys
from importlib.util import find_spec

__all__ = ["main"]

NEEDED = ("rich", "typer")
EXPLAINED = 2


def main() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"tidewire: the command line needs {' and '.join(missing)}: pip install 'tidewire[cli]'\n"
        )
        sys.exit(EXPLAINED)
    from .app import run  # after the check: it needs what may be missing

    sys.exit(run())


if __name__ == "__main__":
    main()
