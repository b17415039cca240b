from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.identity.rights import Action, allows, covers, parse_pattern

SEGMENT = st.sampled_from(["a", "b", "@me", ""])
CHANNEL = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)
PATTERN = st.builds(
    lambda head, tail: "/".join([*head, *tail]),
    st.lists(st.one_of(SEGMENT, st.just("*")), min_size=1, max_size=3),
    st.sampled_from([[], ["**"]]),
) | st.just("**")


def every_channel_of(pattern: str, alphabet: tuple[str, ...], longest: int) -> set[str]:
    """The slow, obvious reference: write out every channel that the pattern stands for."""
    segments = pattern.split("/")
    closing = segments[-1] == "**"
    if closing:
        segments = segments[:-1]
    found = set()
    for tail in range(longest + 1 if closing else 1):
        choices = [alphabet if s == "*" else (s,) for s in segments] + [alphabet] * tail
        if choices:
            found |= {"/".join(path) for path in product(*choices)}
    return found


@given(PATTERN, CHANNEL)
def test_covers_exactly_the_channels_that_the_pattern_stands_for(
    pattern: str, channel: str
) -> None:
    reference = every_channel_of(pattern, ("a", "b", "@me", ""), longest=4)
    assert covers(pattern, channel) == (channel in reference)


@given(st.dictionaries(PATTERN, st.sets(st.sampled_from(Action)), max_size=4), CHANNEL)
def test_a_right_comes_from_a_pattern_that_grants_this_very_action(
    caps: dict[str, set[Action]], channel: str
) -> None:
    for action in Action:
        reference = any(
            channel in every_channel_of(pattern, ("a", "b", "@me", ""), longest=4)
            for pattern, actions in caps.items()
            if action in actions
        )
        assert allows(caps, channel, action) == reference


def test_no_caps_allow_nothing() -> None:
    assert not allows({}, "flights", Action.SUBSCRIBE)


@pytest.mark.parametrize(
    ("pattern", "channel", "covered"),
    [
        ("flights/**", "flights", True),
        ("flights/**", "flights/JFK", True),
        ("flights/**", "flights/JFK/B6", True),
        ("flights/**", "flightsx", False),
        ("flights/*", "flights", False),
        ("flights/*", "flights/JFK", True),
        ("flights/*", "flights/JFK/B6", False),
        ("*", "flights", True),
        ("*", "flights/JFK", False),
        ("**", "flights/JFK", True),
        ("*/JFK", "flights/JFK", True),
        ("flights", "flights", True),
        ("flights", "flights/JFK", False),
    ],
)
def test_patterns_go_by_whole_segments(pattern: str, channel: str, covered: bool) -> None:
    assert covers(pattern, channel) is covered


@pytest.mark.parametrize(
    "pattern", ["", "fl*", "flights/J*", "**/JFK", "a/**/b", "a b", "é", "***"]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        parse_pattern(pattern)


@given(PATTERN.filter(bool))
def test_every_pattern_of_channel_segments_and_wildcards_is_accepted(pattern: str) -> None:
    assert parse_pattern(pattern) == pattern
