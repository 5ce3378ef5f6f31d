"""Generated tables, collected by name, made once per argument set."""

from collections import defaultdict
from functools import cache

from nsn_pipeline.sandbox.data.generator import generate
from nsn_pipeline.sandbox.data.tables import Row


class Tables(dict[str, list[Row]]):
    def by_id(self, table: str) -> dict[str, Row]:
        return {str(row["id"]): row for row in self[table]}

    def lines_of(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for line in self["transactionline"]:
            found[str(line["transaction"])].append(line)
        return found


@cache
def tables(size: str = "tiny", seed: int = 1, shape: str = "multi") -> Tables:
    found = Tables()
    for _, table, rows in generate(size, seed, shape=shape):
        found.setdefault(table, []).extend(rows)
    return found
