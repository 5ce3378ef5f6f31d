"""What of a plan may be shown: what the trail withholds, and no more of it.

Pure. A saved plan holds every value, as it is compared and carried out; whatever is printed, given
as JSON or told to Dagster goes through here. Empty stays empty, so that moves are seen.
"""

from nsn_pipeline.audit.trail_privacy import WITHHELD, Privacy, scrubbed
from nsn_pipeline.load.plan import Change

_OTHER = " (another)"


def shown_value(privacy: Privacy, column: str, value: str, table: str | None = None) -> str:
    """The value as it may be shown."""
    if not value:
        return value
    return WITHHELD if privacy.hides(column, table) else scrubbed(value)


def shown_change(privacy: Privacy, table: str, change: Change) -> Change:
    """The change as it may be shown; the same one where nothing of it is private."""
    values = _shown(privacy, table, change.values)
    before = _shown(privacy, table, change.before)
    if values == change.values and before == change.before:
        return change
    return change._replace(values=values, before=before)


def shown_apart(
    privacy: Privacy, table: str, planned: Change | None, now: Change | None
) -> tuple[Change | None, Change | None]:
    """Two changes of one record, so that values which differ still do."""
    said = None if planned is None else shown_change(privacy, table, planned)
    says = None if now is None else shown_change(privacy, table, now)
    if planned is None or now is None or said is None or says is None:
        return said, says
    return said, says._replace(
        values=_told_apart(planned.values, now.values, said.values, says.values),
        before=_told_apart(planned.before, now.before, said.before, says.before),
    )


def _shown(privacy: Privacy, table: str, values: dict[str, str]) -> dict[str, str]:
    return {column: shown_value(privacy, column, text, table) for column, text in values.items()}


def _told_apart(
    planned: dict[str, str], now: dict[str, str], said: dict[str, str], says: dict[str, str]
) -> dict[str, str]:
    return {
        column: f"{text}{_OTHER}"
        if said.get(column) == text and planned.get(column) != now[column]
        else text
        for column, text in says.items()
    }
