"""What the trail must not hold: bank details, tax numbers of people, passwords, tokens.

A column is private when its name says so, or when the profile does (`private: true`). Its values
are replaced before an entry is built; no hash of them is kept, since such values are easy to guess.
IBANs are also found in free text, by their check digits: people write them into memos.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from nsn_pipeline.profiles.model import Profile, Target

WITHHELD = "[withheld]"

# Words of a column name, and pairs of neighbouring words. `account_number` is a GL account's number
# and `tax_amount` an amount: neither is private.
_WORDS = frozenset(
    {"iban", "bic", "swift", "bank", "ssn", "ein", "itin", "tin", "passport", "password"}
    | {"passwd", "pwd", "secret", "token", "credential", "credentials", "apikey", "sortcode"}
    | {
        "routing",
        "creditcard",
        "cvv",
        "pin",
        "birthdate",
        "dob",
        "taxid",
        "taxidnum",
        "vatregnumber",
    }
)
_PAIRS = frozenset(
    {("tax", "id"), ("tax", "number"), ("tax", "reg"), ("tax", "registration"), ("vat", "id")}
    | {("vat", "number"), ("vat", "reg"), ("vat", "registration"), ("sort", "code"), ("api", "key")}
    | {("private", "key"), ("social", "security"), ("credit", "card"), ("card", "number")}
    | {("national", "id"), ("national", "insurance"), ("fiscal", "code"), ("direct", "debit")}
)
_PARTS = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*")
_IBAN = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b")
_REMEDY = "Correct {column}; its value is private, so the trail keeps neither it nor the details."


def is_private_name(name: str) -> bool:
    """Whether a column of this name holds what the trail must not."""
    words = [part.lower() for part in _PARTS.findall(name)]
    return not _WORDS.isdisjoint(words) or not _PAIRS.isdisjoint(pairwise(words))


@dataclass(frozen=True, slots=True)
class Privacy:
    """The private columns of a profile, by ServiceNow table and by NetSuite column."""

    by_table: Mapping[str, frozenset[str]]
    sources: frozenset[str]

    @classmethod
    def of(cls, profile: Profile) -> "Privacy":
        by_table: dict[str, frozenset[str]] = {}
        sources: set[str] = set()
        for target in _targets(profile):
            private = [
                one
                for one in target.columns
                if one.private or is_private_name(one.column) or is_private_name(one.source)
            ]
            columns = frozenset(one.column for one in private)
            by_table[target.table] = by_table.get(target.table, frozenset()) | columns
            sources.update(one.source for one in private if one.literal is None)
        return cls(by_table, frozenset(sources))

    def hides(self, column: str, table: str | None = None) -> bool:
        """Whether a column's values are withheld; without a table, whatever table it is of."""
        if is_private_name(column) or column in self.sources:
            return True
        tables = (
            self.by_table.values() if table is None else [self.by_table.get(table, frozenset())]
        )
        return any(column in columns for columns in tables)

    def change(self, table: str, column: str, old: str, new: str) -> tuple[str, str]:
        """Both values as the trail may hold them; empty stays empty, so that moves are seen."""
        if self.hides(column, table):
            return (WITHHELD if old else "", WITHHELD if new else "")
        return scrubbed(old), scrubbed(new)

    def problem(self, column: str, value: str | None, remedy: str) -> tuple[str | None, str]:
        """Value and remedy of a problem as the trail may hold them."""
        if self.hides(column):
            return (WITHHELD if value else value), _REMEDY.format(column=column)
        return (None if value is None else scrubbed(value)), scrubbed(remedy)


def scrubbed(text: str) -> str:
    """The text without IBANs."""
    if len(text) < 15:  # noqa: PLR2004 - the shortest IBAN
        return text
    return _IBAN.sub(lambda found: WITHHELD if _is_iban(found.group()) else found.group(), text)


def _is_iban(text: str) -> bool:
    """The check digits of ISO 13616."""
    compact = text.replace(" ", "")
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _targets(profile: Profile) -> Iterable[Target]:
    for target in profile.targets.values():
        yield target
        if target.lines is not None:
            yield target.lines
