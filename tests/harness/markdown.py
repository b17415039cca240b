"""What stands in a Markdown document: blocks of code, headings with GitHub's anchors, links (pure)."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Block", "Link", "anchors_of", "blocks_of", "links_of", "markdown_files"]

_FENCE: Final = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)")
_ATTRIBUTE: Final = re.compile(r'([\w-]+)(?:="([^"]*)")?')
_HEADING: Final = re.compile(r"#{1,6}\s+(.*?)\s*#*\s*$")
_CODE_SPAN: Final = re.compile(r"(`+)(.+?)\1")
_TARGET: Final = re.compile(r"\]\(\s*<?([^\s)>]*)>?(?:\s+\"[^\"]*\")?\s*\)")
"""The end of a link or image; its text may have begun on a line before."""
_DEFINITION: Final = re.compile(r"^\s{0,3}\[[^\]]+\]:\s+<?([^\s>]+)>?")
_AUTOLINK: Final = re.compile(r"<((?:https?|mailto):[^\s<>]+)>")
_HTML_LINK: Final = re.compile(r'<(?:a|img)\b[^>]*\b(?:href|src)="([^"]*)"')
_HTML_ANCHOR: Final = re.compile(r'<a\b[^>]*\b(?:id|name)="([^"]*)"')
_LINKED_TEXT: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_NO_SLUG: Final = re.compile(r"[^\w\- ]")
_NOT_OURS: Final = frozenset({"node_modules", "build", "dist", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. ``line`` is that of its first line of code, counted from 1.

    ``attributes`` are what follows the language: `no-run="why"`, or a bare word, whose text is empty.
    """

    line: int
    language: str
    text: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    line: int
    target: str


def markdown_files(root: Path) -> list[Path]:
    """The documents below ``root`` that are ours: nothing hidden, installed or built."""
    found: list[Path] = []
    folders = [root]
    while folders:
        for entry in folders.pop().iterdir():
            if entry.name.startswith(".") or entry.name in _NOT_OURS or entry.is_symlink():
                continue
            if entry.is_dir():
                folders.append(entry)
            elif entry.suffix == ".md":
                found.append(entry)
    return sorted(found)


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks, in order; raises `ValueError` for one that never ends."""
    blocks: list[Block] = []
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        opened = _FENCE.fullmatch(line)
        if opened is not None:
            code = list(_code(lines, opened, number))
            language, attributes = _info(opened["info"])
            blocks.append(Block(number + 1, language, "".join(code), attributes))
    return blocks


def _code(lines: Iterator[tuple[int, str]], opened: re.Match[str], number: int) -> Iterator[str]:
    indent, fence = len(opened["indent"]), opened["fence"]
    for _, line in lines:
        bare = line.strip()
        if bare.startswith(fence) and not bare.strip(fence[0]):
            return
        yield f"{line[indent:] if not line[:indent].strip() else line}\n"
    raise ValueError(f"the block that begins on line {number} has no end")


def _info(info: str) -> tuple[str, dict[str, str]]:
    language, _, rest = info.strip().partition(" ")
    return language, {found[1]: found[2] or "" for found in _ATTRIBUTE.finditer(rest)}


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are no code, code spans blanked."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        found = _FENCE.fullmatch(line)
        if fence:
            bare = line.strip()
            fence = "" if bare.startswith(fence) and not bare.strip(fence[0]) else fence
        elif found is not None:
            fence = found["fence"]
        else:
            yield number, line


def anchors_of(text: str) -> frozenset[str]:
    """What a `#…` may name: headings as GitHub slugs them, and anchors set by hand."""
    seen: Counter[str] = Counter()
    anchors: set[str] = set()
    for _, line in _prose(text):
        anchors |= set(_HTML_ANCHOR.findall(line))
        heading = _HEADING.fullmatch(line)
        if heading is not None:
            slug = _slug(heading[1])
            anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(anchors)


def _slug(heading: str) -> str:
    plain = _LINKED_TEXT.sub(r"\1", heading).replace("`", "")
    return _NO_SLUG.sub("", plain.lower()).replace(" ", "-")


def links_of(text: str) -> list[Link]:
    """Every link and image outside code, in order."""
    found: list[Link] = []
    for number, line in _prose(text):
        bare = _CODE_SPAN.sub(lambda span: "`" * len(span[0]), line)
        patterns = (_TARGET, _DEFINITION, _AUTOLINK, _HTML_LINK)
        targets = dict.fromkeys(target for pattern in patterns for target in pattern.findall(bare))
        found += [Link(number, target) for target in targets]
    return found
