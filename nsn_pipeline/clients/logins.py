"""Whether a 401 is the login's, or the doing of one call.

Both vendors answer 401 for more than wrong credentials: ServiceNow of single records, NetSuite to a
role that may not use an interface (docs/facts/netsuite.md 2). A refusal stops every process that
uses the login, so before it is remembered the probe is sent, once for all threads:

* a renewable login that has not worked here yet: in place of the repeat, with the new token;
* one that has worked: after its last try;
* after a refusal that has held its time: before any other call, and with a new token, as the
  present one may have ended meanwhile.

Not asked about, and remembered at once: a token that is not given, which is the login itself, and a
Basic or token-based login that has not worked here, of which each refusal counts towards a lock. If
that was one call's doing, the probe finds out a minute later.
"""

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from nsn_pipeline.clients.refusals import GAPS_S, LoginGuard
from nsn_pipeline.errors import (
    AuthenticationError,
    NsnError,
    PermissionDeniedError,
    RequestRefusedError,
    TransientError,
)


@dataclass(frozen=True, slots=True)
class Probe:
    """A cheap read that every login of a system may make: when it is refused, all else is."""

    method: str
    path: str
    params: dict[str, str] = field(default_factory=dict[str, str])
    data: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])


class NoCredentialsError(Exception):
    """Passes a failure to get credentials by the retry loop."""

    def __init__(self, reason: TransientError | AuthenticationError) -> None:
        super().__init__()
        self.reason = reason


class Login:
    """The credentials of one `Http`; safe to share between threads.

    `ask` sends the probe, with a new token where it is told to renew it, and says what it was
    answered: the error, or None for a success. A token that is not given is such an error.
    """

    def __init__(
        self,
        guard: LoginGuard,
        probe: Probe | None,
        *,
        ask: Callable[[Probe, bool], NsnError | None],
        is_renewable: bool,
    ) -> None:
        self.guard = guard
        self._probe = probe
        self._ask = ask
        self._is_renewable = is_renewable
        self._one_asks = threading.Lock()
        self._asked_at = -math.inf

    def admit(self) -> None:
        """Raise while a refusal holds; when it has, the probe goes first: one refusal, not two."""
        if not self.guard.is_doubtful:
            return
        with self._one_asks:
            if self.guard.check() and self._probe is not None:
                self._judge(self._probe, in_vain=0, renews=True)

    def no_token(self, error: NoCredentialsError) -> None:
        """The vendor gives no token: that is the login itself, whatever worked before."""
        if isinstance(error.reason, AuthenticationError):
            self.guard.refused(error.reason)

    def refused(self, error: AuthenticationError) -> None:
        """A call was answered 401 for good."""
        if not self._is_refused_alone():
            self.guard.refused(error, times=self._in_vain)

    def is_refused_everywhere(self) -> bool:
        """Whether a login that has not worked yet is refused for the probe as well."""
        guard = self.guard
        if self._probe is None or guard.works:
            return False
        with self._one_asks:
            if guard.works or guard.holding() is not None:  # another thread has found out
                return not guard.works
            try:
                self._judge(self._probe, in_vain=1)
            except AuthenticationError:
                return True
            except (NsnError, NoCredentialsError):  # it tells nothing: the call itself will
                return False
            return False

    def _is_refused_alone(self) -> bool:
        if not self.guard.works:
            return False
        if self._probe is None:
            return self._is_renewable
        with self._one_asks:
            # Of a thousand records that are refused one after the other, one in a minute asks.
            if self.guard.works and self.guard.now() >= self._asked_at + GAPS_S[0]:
                with suppress(NsnError, NoCredentialsError):  # the call's own refusal is told
                    self._judge(self._probe, in_vain=self._in_vain)
            return self.guard.works

    @property
    def _in_vain(self) -> int:
        """The requests behind a final 401: one that could be renewed was repeated."""
        return 2 if self._is_renewable else 1

    def _judge(self, probe: Probe, *, in_vain: int, renews: bool = False) -> None:
        """Send the probe, after so many refused requests, and take note of what it says."""
        self._asked_at = sent_at = self.guard.now()
        error = self._ask(probe, renews)
        if isinstance(error, AuthenticationError):
            self.guard.refused(error, times=in_vain + 1)
        if error is not None and not isinstance(error, PermissionDeniedError | RequestRefusedError):
            raise error
        self.guard.accepted(sent_at=sent_at)
