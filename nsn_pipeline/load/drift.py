"""Where ServiceNow differs from NetSuite in columns that are compared and never written.

Pure. A difference is told, not corrected, and fails nothing. Where no honest comparison is possible
(a value NetSuite cannot give, a column the role may not read, an amount in a currency other than
the reader's) the column is counted as not judged: silence would read as agreement.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from nsn_pipeline.load.compare import currency_of, received, same, same_to_the_unit
from nsn_pipeline.load.table import Comparison, Rule, Table


@dataclass(frozen=True, slots=True)
class Difference:
    """One compared column of one record: what NetSuite says, and what ServiceNow holds."""

    key: str
    document_id: str
    sys_id: str
    column: str
    netsuite: str
    servicenow: str


@dataclass(slots=True)
class Drift:
    """Differences per record, and per column how many values were and were not judged."""

    differences: list[Difference] = field(default_factory=list[Difference])
    judged: Counter[str] = field(default_factory=Counter[str])
    not_judged: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: "Drift") -> None:
        self.differences.extend(other.differences)
        self.judged.update(other.judged)
        self.not_judged.update(other.not_judged)

    def by_column(self) -> dict[str, int]:
        """How many records differ, per column."""
        return dict(Counter(one.column for one in self.differences))


def compare_only(
    table: Table,
    key: str,
    document_id: str,
    fields: Mapping[str, str],
    row: Mapping[str, object],
) -> Drift:
    """Compare the columns of one record that are never written."""
    drift = Drift()
    for rule in table.compared:
        wanted = fields.get(rule.column)
        verdict = None if wanted is None else _agrees(rule, table.reader_currency, wanted, row)
        if wanted is None or verdict is None:
            drift.not_judged[rule.column] += 1
            continue
        drift.judged[rule.column] += 1
        if not verdict:
            sys_id, present = received(row.get("sys_id")), received(row.get(rule.column))
            drift.differences.append(
                Difference(key, document_id, sys_id, rule.column, wanted, present)
            )
    return drift


def _agrees(
    rule: Rule, reader_currency: str, wanted: str, row: Mapping[str, object]
) -> bool | None:
    """None where it cannot be told. Currency columns are read in the reader's currency, so only
    amounts in that one come back as they were stored (docs/decisions/0005, 0012).
    """
    if rule.column not in row:
        return None
    present = received(row[rule.column])
    if rule.comparison is Comparison.MONEY:
        currency = currency_of(wanted)
        if wanted and present and currency != (currency_of(present) or reader_currency):
            return None
        return same_to_the_unit(wanted, present)
    return same(rule.comparison, wanted, present)
