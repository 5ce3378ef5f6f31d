from datetime import UTC, datetime, timedelta

import redis

from nsn_pipeline.state.retired_today import KEPT_S, RetiredToday

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def at(client: redis.Redis, now: datetime, prefix: str = "nsn:a:b:c:") -> RetiredToday:
    return RetiredToday(client, prefix=prefix, now=lambda: now)


def test_runs_of_a_day_add_up_and_the_next_day_begins_anew(client: redis.Redis) -> None:
    assert at(client, NOON).add("retire", "proc_po", 4) == 4
    assert at(client, NOON + timedelta(hours=11)).add("retire", "proc_po", 2) == 6
    assert at(client, NOON + timedelta(hours=11)).add("retire", "proc_po", -1) == 5
    assert at(client, NOON).count("retire", "proc_po") == 5
    assert at(client, NOON + timedelta(days=1)).count("retire", "proc_po") == 0


def test_tables_deeds_and_owners_are_counted_apart(client: redis.Redis) -> None:
    at(client, NOON).add("retire", "proc_po", 3)
    assert at(client, NOON).count("end", "proc_po") == 0
    assert at(client, NOON).count("retire", "proc_po_item") == 0
    assert at(client, NOON, "nsn:a:b:other:").count("retire", "proc_po") == 0


def test_counters_leave_redis_by_themselves(client: redis.Redis) -> None:
    at(client, NOON).add("retire", "proc_po", 3)
    (key,) = client.keys("*today*")
    assert 0 < client.ttl(key) <= KEPT_S


def test_what_is_given_back_after_midnight_is_taken_from_the_day_it_was_counted_on(
    client: redis.Redis,
) -> None:
    times = [NOON.replace(hour=23, minute=59)]
    step = RetiredToday(client, prefix="nsn:a:b:c:", now=lambda: times[-1])
    assert step.add("retire", "proc_po", 400) == 400
    times.append(NOON + timedelta(days=1))
    assert step.add("retire", "proc_po", -400) == 0
    assert at(client, NOON + timedelta(days=1)).count("retire", "proc_po") == 0
