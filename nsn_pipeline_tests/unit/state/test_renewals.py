"""What a process holds is renewed until it is given up."""

import logging
import threading
from collections.abc import Collection, Sequence

import pytest

from nsn_pipeline.state.renewals import Renewals

SOON_S, PATIENCE_S = 0.005, 10


class Rounds:
    """What was renewed, round by round. Rounds `fails` are numbered from 0; `gone` are gone."""

    def __init__(self, *, fails: Collection[int] = (), gone: Collection[str] = ()) -> None:
        self.told: list[list[str]] = []
        self.fails = fails
        self.gone = gone
        self._more = threading.Condition()

    def __call__(self, tokens: Sequence[str]) -> Collection[str]:
        with self._more:
            number = len(self.told)
            self.told.append(list(tokens))
            self._more.notify_all()
        if number in self.fails:
            raise RuntimeError("out of luck")
        return self.gone

    def wait_for(self, rounds: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.told) >= rounds, PATIENCE_S)

    def wait_for_all_of(self, tokens: list[str]) -> None:
        with self._more:
            assert self._more.wait_for(lambda: tokens in self.told, PATIENCE_S)


def ended(renewals: Renewals) -> None:
    thread = renewals._thread
    if thread is not None:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_what_is_held_is_renewed_together_until_it_is_let_go() -> None:
    rounds = Rounds()
    renewals = Renewals("test", rounds, SOON_S)
    renewals.hold("b")
    thread = renewals._thread
    renewals.hold("a")
    rounds.wait_for_all_of(["a", "b"])
    assert renewals._thread is thread, "one for all"
    renewals.let_go("b")
    after = len(rounds.told) + 1  # one may be under way
    rounds.wait_for(after + 1)
    assert rounds.told[-1] == ["a"]
    renewals.let_go("a")
    ended(renewals)


def test_nobody_renews_when_nothing_is_held_and_it_begins_again() -> None:
    rounds = Rounds()
    renewals = Renewals("test", rounds, SOON_S)
    for number in range(1, 3):
        renewals.hold("a")
        rounds.wait_for(number)
        renewals.let_go("a")
        ended(renewals)
        assert renewals._thread is None
        rounds.told[number:] = []


def test_a_round_that_fails_is_not_the_last_and_is_told_once_until_one_succeeds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = Rounds(fails={0, 1, 3})
    renewals = Renewals("test", rounds, SOON_S)
    with caplog.at_level(logging.WARNING):
        renewals.hold("a")
        rounds.wait_for(5)
    renewals.let_go("a")
    ended(renewals)
    assert caplog.text.count("leases_not_renewed name=test error=out of luck") == 2


def test_a_lease_that_is_gone_is_told_and_renewed_no_more(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds(gone=["a", "given up meanwhile"])
    renewals = Renewals("test", rounds, SOON_S)
    with caplog.at_level(logging.WARNING):
        renewals.hold("a")
        ended(renewals)  # nothing is left to renew
    assert rounds.told == [["a"]]
    assert caplog.text.count("lease_lost name=test") == 1


def test_after_the_end_nothing_is_asked() -> None:
    rounds = Rounds()
    renewals = Renewals("test", rounds, SOON_S)
    renewals.hold("a")
    rounds.wait_for(1)
    renewals.close()
    ended(renewals)
    asked, thread = len(rounds.told), renewals._thread
    renewals.hold("b")
    assert renewals._thread is thread
    assert len(rounds.told) == asked


def test_a_thread_that_is_gone_is_replaced() -> None:
    """By an error that nothing catches."""
    rounds = Rounds()
    renewals = Renewals("test", rounds, SOON_S)
    gone = threading.Thread(target=rounds.told.clear)
    gone.start()
    gone.join(PATIENCE_S)
    renewals._thread = gone
    renewals.hold("a")
    rounds.wait_for(1)
    renewals.let_go("a")
    ended(renewals)


def test_without_another_thread_a_lease_is_held_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    rounds = Rounds()
    renewals = Renewals("test", rounds, SOON_S)
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
    renewals = Renewals("test", Rounds(), 3600)
    renewals.hold("a")
    assert renewals._thread is not None
    assert renewals._thread.daemon
