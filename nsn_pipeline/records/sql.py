"""SuiteQL expressions that turn NetSuite's dates into text that means one thing.

Raw dates follow the reader's own format preference and raw instants lose their time of day
(docs/facts/netsuite.md 4.3, 9.1), so both are always asked for as text.
"""


def date_text(column: str) -> str:
    """A calendar date, never shifted between time zones."""
    return f"TO_CHAR({column},'YYYY-MM-DD')"


def instant_text(column: str) -> str:
    """An instant in exact UTC; plain TO_CHAR would use the connection's time zone."""
    return f'TO_CHAR(SYS_EXTRACT_UTC({column}),\'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'
