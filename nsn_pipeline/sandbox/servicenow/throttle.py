"""Limits on calls: hourly rules, calls in flight, calls of one session (6, 1.2)."""

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate

from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.messages import Reply, refused
from nsn_pipeline.sandbox.servicenow.refusals import Refusal
from nsn_pipeline.sandbox.servicenow.schema import derived_id

HOUR_S = 3600


@dataclass(slots=True)
class Queue:
    """Calls that carry the same session cookie: one runs, the rest wait."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Throttle:
    """Counts what has been let through."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.in_flight = 0
        self.most_in_flight = 0
        self.refused = 0
        self.queues: dict[str, Queue] = {}
        self._counts: dict[tuple[str, int], int] = {}

    def enter(self) -> bool:
        """False when every semaphore is taken and the queue behind them is full."""
        limit = self.instance.options.max_in_flight
        if limit and self.in_flight >= limit:
            self.refused += 1
            return False
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return True

    def busy(self) -> Reply:
        """The answer to a call that was not let in."""
        advice = self.instance.options.busy_retry_after
        return Reply(429, headers=[("retry-after", advice)] if advice else [])

    def leave(self) -> None:
        self.in_flight -= 1

    def rate(self, user_name: str, path: str) -> tuple[Reply | None, list[tuple[str, str]]]:
        """The refusal, if the hour is used up, and the headers that every answer carries."""
        rule = self.instance.options.rate_limit
        if rule is None or not path.startswith(rule.path):
            return None, []
        now = self.instance.clock()
        hour = int(now // HOUR_S)
        count = self._counts.get((user_name, hour), 0) + 1
        self._counts = {key: value for key, value in self._counts.items() if key[1] == hour}
        self._counts[(user_name, hour)] = count
        reset = (hour + 1) * HOUR_S
        headers = [
            ("x-ratelimit-limit", str(rule.requests_per_hour)),
            ("x-ratelimit-reset", str(reset)),
            ("x-ratelimit-rule", derived_id("sys_rate_limit_rules", rule.name, rule.path)),
        ]
        if count <= rule.requests_per_hour:
            return None, headers
        self.refused += 1
        detail = (
            f"Rate limit of {rule.requests_per_hour} requests per hour for {rule.name} exceeded"
        )
        reply = refused(Refusal(429, "Rate limit exceeded", detail))
        as_date = self.instance.options.retry_after_as_date
        advice = formatdate(reset, usegmt=True) if as_date else str(max(1, int(reset - now)))
        reply.headers.append(("retry-after", advice))
        return reply, headers
