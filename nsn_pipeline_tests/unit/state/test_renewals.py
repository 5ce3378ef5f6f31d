"""What a process holds is renewed until it is given up."""

import threading
from collections.abc import Sequence

import pytest

from nsn_pipeline.state.renewals import Renewals

SOON_S, PATIENCE_S = 0.005, 10


class Rounds:
    """What was renewed, round by round; `fails` fails them."""

    def __init__(self, *, fails: bool = False) -> None:
        self.told: list[list[str]] = []
        self.fails = fails
        self._more = threading.Condition()

    def __call__(self, tokens: Sequence[str]) -> None:
        with self._more:
            self.told.append(list(tokens))
            self._more.notify_all()
        if self.fails:
            raise RuntimeError("out of luck")

    def wait_for(self, rounds: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.told) >= rounds, PATIENCE_S)


def ended(renewals: Renewals) -> None:
    thread = renewals._thread
    if thread is not None:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_what_is_held_is_renewed_together_until_it_is_let_go() -> None:
    rounds = Rounds()
    renewals = Renewals(rounds, SOON_S)
    renewals.hold("b")
    renewals.hold("a")
    rounds.wait_for(3)
    renewals.let_go("b")
    after = len(rounds.told) + 1  # one may be under way
    rounds.wait_for(after + 1)
    assert rounds.told[-1] == ["a"]
    assert ["a", "b"] in rounds.told
    renewals.let_go("a")
    ended(renewals)


def test_nobody_renews_when_nothing_is_held_and_it_begins_again() -> None:
    rounds = Rounds()
    renewals = Renewals(rounds, SOON_S)
    for number in range(1, 3):
        renewals.hold("a")
        rounds.wait_for(number)
        renewals.let_go("a")
        ended(renewals)
        assert renewals._thread is None
        rounds.told[number:] = []


def test_a_round_that_fails_is_not_the_last() -> None:
    rounds = Rounds(fails=True)
    renewals = Renewals(rounds, SOON_S)
    renewals.hold("a")
    rounds.wait_for(3)
    renewals.let_go("a")
    ended(renewals)


def test_without_another_thread_a_lease_is_held_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    rounds = Rounds()
    renewals = Renewals(rounds, SOON_S)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        renewals.hold("a")
    assert rounds.told == []
    renewals.hold("b")  # now there is one
    rounds.wait_for(1)
    assert rounds.told[0] == ["a", "b"]
    for token in ("a", "b"):
        renewals.let_go(token)
    ended(renewals)


def test_a_process_that_ends_does_not_wait_for_it() -> None:
    renewals = Renewals(Rounds(), 3600)
    renewals.hold("a")
    assert renewals._thread is not None
    assert renewals._thread.daemon
