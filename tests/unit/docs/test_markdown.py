"""Reading Markdown documents as GitHub does."""

import pytest

from harness.markdown import Block, Link, anchors_of, blocks_of, links_of

DOCUMENT = """\
# One `code` & [two](x.md), três!

```console no-run="needs a cluster" bare
$ true
```

- a list

  ```python
  if True:
      pass
  ```

````text
```
inner
```
````

## Again
## Again
<a id="by-hand"></a> `[no](link.md)` and ![an image](a.png) and <https://example.org/>
[![badge](b.svg)](c.md) [ref]

[ref]: d.md
"""


def test_a_block_has_its_language_attributes_line_and_text() -> None:
    first, second, third = blocks_of(DOCUMENT)

    assert first == Block(4, "console", "$ true\n", {"no-run": "needs a cluster", "bare": ""})
    assert second == Block(10, "python", "if True:\n    pass\n")
    assert third == Block(15, "text", "```\ninner\n```\n")


def test_a_block_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 has no end"):
        blocks_of("text\n```python\npass\n")


def test_headings_are_slugged_as_on_github() -> None:
    assert anchors_of(DOCUMENT) == {"one-code--two-três", "again", "again-1", "by-hand"}


def test_links_are_found_outside_code_alone() -> None:
    assert links_of(DOCUMENT) == [
        Link(1, "x.md"),
        Link(22, "a.png"),
        Link(22, "https://example.org/"),
        Link(23, "b.svg"),
        Link(23, "c.md"),
        Link(25, "d.md"),
    ]


def test_code_is_no_heading() -> None:
    assert anchors_of("```sh\n# comment\n```\n") == frozenset()
