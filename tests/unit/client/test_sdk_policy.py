"""Close codes carry duties."""

import pytest

from tidewire_client.policy import Duty, LinkEnd, duty_of, refresh_delay, silence_timeout


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1009, 1011, 1012, 3000, 3001, 3008, 3012, 3030])
def test_passing_close_codes_ask_for_another_try(code: int) -> None:
    assert duty_of(LinkEnd("", code), was_connected=True, can_renew=False) is Duty.RETRY


@pytest.mark.parametrize("code", [3500, 3501, 3502, 3503, 3504, 3999])
def test_permanent_close_codes_stop_the_client(code: int) -> None:
    assert duty_of(LinkEnd("", code), was_connected=True, can_renew=True) is Duty.STOP


def test_expired_token_is_renewed_where_it_can_be() -> None:
    end = LinkEnd("", 3005)
    assert duty_of(end, was_connected=True, can_renew=True) is Duty.RENEW
    assert duty_of(end, was_connected=True, can_renew=False) is Duty.STOP


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refused_first_handshake_is_final_a_later_one_is_not(status: int) -> None:
    end = LinkEnd("", status=status)
    assert duty_of(end, was_connected=False, can_renew=False) is Duty.STOP
    assert duty_of(end, was_connected=True, can_renew=False) is Duty.RETRY


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_busy_server_is_tried_again(status: int) -> None:
    assert duty_of(LinkEnd("", status=status), was_connected=False, can_renew=False) is Duty.RETRY


def test_token_is_renewed_before_it_expires_and_never_in_a_spin() -> None:
    assert refresh_delay(100_000) == 80.0
    assert refresh_delay(0) == 1.0


def test_connection_is_dead_after_two_and_a_half_ping_intervals() -> None:
    assert silence_timeout(25_000) == 62.5
    assert silence_timeout(0) is None
