"""Judges JSON and YAML of documents by the models that read such things."""

import json
from pathlib import Path
from typing import Any, Final

import yaml

from harness.markdown import Block
from tidewire.config.streams_file import load_streams
from tidewire.errors import TidewireError
from tidewire.ingest.documents import parse_event
from tidewire.ingest.user_events import parse_user_event
from tidewire.protocol.codec import decode_frame
from tidewire.protocol.errors import ProtocolError
from tidewire_client.codec import decode as read_frame
from tidewire_client.errors import MalformedFrameError

__all__ = ["fault_of_data"]

EVENT: Final = {"key", "data"}
USER_EVENT: Final = {"data", "ttl_ms"}


def fault_of_data(block: Block, folder: Path) -> str | None:
    """What is wrong with a block of JSON or YAML; `folder` is for files that models read."""
    try:
        if block.language == "yaml":
            _check_yaml(block.text, folder)
        elif block.language == "json":
            _check_json(block)
    except (ValueError, yaml.YAMLError, TidewireError, MalformedFrameError) as error:
        return str(error)
    return None


def _check_yaml(text: str, folder: Path) -> None:
    for document in yaml.safe_load_all(text):
        if isinstance(document, dict) and "streams" in document:
            path = folder / "checked.yaml"
            path.write_text(text)
            load_streams(path)


def _check_json(block: Block) -> None:
    content = json.loads(block.text)
    if "client" in block.attributes:
        _check_request(block.text)
    elif "server" in block.attributes:
        read_frame(block.text.strip())
    elif isinstance(content, dict):
        _check_event(content, block.text.encode())


def _check_request(text: str) -> None:
    for message in decode_frame(text.strip()):
        if isinstance(message, ProtocolError):
            raise ValueError(f"the server would answer: {message}")


def _check_event(content: dict[str, Any], text: bytes) -> None:
    """An event of a stream or to a user, where it looks like one."""
    if content.keys() >= EVENT:
        parse_event(text)
    elif content.keys() >= USER_EVENT:
        parse_user_event(text, "ann")
