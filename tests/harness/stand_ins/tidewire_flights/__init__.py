from pathlib import Path

HERE = Path(__file__).parent


def dashboard_dir() -> Path:
    return HERE


def streams_file() -> Path:
    return HERE / "streams.yaml"
