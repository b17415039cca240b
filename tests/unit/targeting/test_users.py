import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.targeting.errors import InvalidUserError
from tidewire.targeting.users import MAX_BYTES, check_user


@pytest.mark.parametrize(
    "user",
    [
        "ada",
        "ada@example.org",
        "tenant/ada lovelace",
        "auth0|5f7c8ec7",
        "{ada}",
        "👩‍🚀",
        " ",
        "@me",
        "..",
        "*",
        "x" * MAX_BYTES,
        "ü" * (MAX_BYTES // 2),
    ],
)
def test_any_text_that_a_token_may_hold_is_a_user(user: str) -> None:
    assert check_user(user) == user


@pytest.mark.parametrize(
    ("user", "cure"),
    [
        (None, "is text"),
        (7, "is text"),
        (b"ada", "is text"),
        ("", "not empty"),
        ("x" * (MAX_BYTES + 1), "use a shorter one"),
        ("👩" * 64, "use a shorter one"),
        ("a\x00b", "leave them out"),
        ("a\nb", "leave them out"),
        ("a\x7f", "leave them out"),
        ("a\u2028b", "leave them out"),
        ("\ud83d", "send valid Unicode"),
    ],
)
def test_what_cannot_be_a_user_is_told_why(user: object, cure: str) -> None:
    with pytest.raises(InvalidUserError, match=cure):
        check_user(user)


@given(st.text(max_size=300))
def test_a_user_can_be_written_down_on_one_line_and_read_again(text: str) -> None:
    try:
        user = check_user(text)
    except InvalidUserError:
        return
    assert user.encode().decode() == user
    assert user.splitlines() == [user]
