"""The one partitions definition: a calendar day of change time in `NSN_TIMEZONE`."""

import dagster as dg

from nsn_pipeline.settings import ProjectSettings


def daily_partitions(project: ProjectSettings) -> dg.DailyPartitionsDefinition:
    """Days from `NSN_START_DATE` up to and including today: a poll reads the day that is still
    open.
    """
    return dg.DailyPartitionsDefinition(
        start_date=project.start_date.isoformat(), timezone=project.timezone, end_offset=1
    )
