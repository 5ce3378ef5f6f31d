"""What the trail must not hold: bank details, tax numbers of people, passwords, tokens.

A column is private when its name says so, or when the profile does (`private: true`). Its values
are replaced before an entry is built; no hash of them is kept, since such values are easy to guess.
IBANs are also found in free text, by their check digits: people write them into memos.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, cast

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
# People write blanks of any width, hyphens, dots and slashes between its characters, or none.
_GAP = r"[\s\u200b-\u200d\u2060\ufeff\-\u2010-\u2015\u2212.\u00b7/_]{0,3}"
_IBAN_START = re.compile(rf"([A-Za-z]{{2}})({_GAP})[0-9]({_GAP})[0-9](?={_GAP}[A-Za-z0-9])")
_IBAN_NEXT = re.compile(rf"{_GAP}([A-Za-z0-9])")
_SHORTEST_IBAN, _LONGEST_IBAN = 15, 34
# Characters of an IBAN by country (SWIFT IBAN registry). Of another country any length is tried,
# in capitals only: a sys_id is 32 small hexadecimal digits, and must not pass for one.
_BY_COUNTRY = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 "
    "DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 "
    "IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 "
    "MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_IBAN_LENGTHS = {text[:2]: int(text[2:]) for text in _BY_COUNTRY.split()}
# A line is looked through by the kind of each byte: "A" a capital, "a" a small letter, "0" a digit,
# quotes and backslashes as they are, anything else a blank; a search that begins with a few fixed
# bytes is several times as fast as one that begins with any letter or digit. A gap is at most three
# characters of three bytes each, or of an escape. Only capitals begin an IBAN with a gap among its
# first four characters, and small letters only a word, or what follows an escape, which itself
# holds letters. Most lines have neither.
_KINDS = bytes(
    ord("A" if one.isupper() else "a" if one.islower() else "0" if one.isdigit() else one)
    if one.isalnum() or one in '"\\'
    else ord(" ")
    for one in map(chr, range(128))
).ljust(256)
_REST = rb"(?=(?:[^Aa0\"]{0,9}[Aa0]){%d})" % (_SHORTEST_IBAN - 4)
_ESCAPED = rb"(?: |\\a000[0a]|\\a){0,9}"
_PERHAPS_CAPITALS = re.compile(rb"AA%b0%b0" % (_ESCAPED, _ESCAPED) + _REST)
_PERHAPS_WORD = re.compile(rb"aa00(?:(?<=[^a0]aa00)|(?<=\\aaa00)|(?<=\\a000[0a]aa00))" + _REST)
_AFTER_IBAN = re.compile(r"iban\W{0,4}$", re.IGNORECASE)
_REMEDY = "Correct {column}: its value is private, so neither it nor the details are told here."


@lru_cache(maxsize=4096)  # columns are few, and asked about for every value
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
        if table is not None:
            return column in self.by_table.get(table, ())
        return any(column in columns for columns in self.by_table.values())

    def problem(self, column: str, value: str | None, remedy: str) -> tuple[str | None, str]:
        """Value and remedy of a problem as trail, plan and summary may hold them."""
        if self.hides(column):
            return (WITHHELD if value else value), _REMEDY.format(column=column)
        return (None if value is None else scrubbed(value)), scrubbed(remedy)


def scrubbed(text: str) -> str:
    """The text without IBANs."""
    if len(text) < _SHORTEST_IBAN or _IBAN_START.search(text) is None:
        return text
    kept: list[str] = []
    done = 0
    for found in _IBAN_START.finditer(text):
        start, (country, first, second) = found.start(), found.groups()
        if start < done or not _may_begin(country, first + second, text[max(start - 8, 0) : start]):
            continue
        end = _iban_end(text, start, country)
        if end is not None:
            kept += [text[done:start], WITHHELD]
            done = end
    return "".join([*kept, text[done:]]) if kept else text


def may_hold_iban(body: bytes) -> bool:
    """False when no text in this JSON can hold one: most entries need no closer look."""
    small = body.lower()
    if b"iban" in small:
        return True
    return any(
        _perhaps(body, found.start())
        for search, text in ((_PERHAPS_CAPITALS, body), (_PERHAPS_WORD, small))
        for found in search.finditer(text.translate(_KINDS))
    )


def _perhaps(body: bytes, at: int) -> bool:
    """Whether letters at this place may be the country's."""
    before = body[max(at - 6, 0) : at]
    if b"\\" in before:  # an escape, whose letters end a line: what follows begins a word
        return True
    return _may_begin(body[at : at + 2].decode(), "", before.decode("ascii", "replace"))


def _may_begin(country: str, gap: str, before: str) -> bool:
    """Whether a country's letters, with or without a gap behind them, begin something.

    `memoDE89`, `IBANDE89`, `ibande89` and `FR 76` do. Small letters within a word alone do not: a
    sys_id is 32 hexadecimal digits, and one in a thousand would pass. Nor do those before a gap:
    they are words, as in `is 15 of 40`.
    """
    if country in _IBAN_LENGTHS or _AFTER_IBAN.search(before):
        return True
    if before[-1:].isascii() and before[-1:].isalnum():
        return False
    return country.isupper() or (not gap and country.upper() in _IBAN_LENGTHS)


def without_ibans(value: Any) -> Any:
    """The same, of every text in a structure as JSON holds it; names are not touched."""
    if isinstance(value, str):
        return value if len(value) < _SHORTEST_IBAN else scrubbed(value)
    if type(value) is dict or isinstance(value, Mapping):
        told = cast("Mapping[str, Any]", value)
        return {name: without_ibans(one) for name, one in told.items()}
    if isinstance(value, (list, tuple)):
        return [
            one if type(one) is str and len(one) < _SHORTEST_IBAN else without_ibans(one)
            for one in cast("Sequence[Any]", value)
        ]
    return value


def _iban_end(text: str, start: int, country: str) -> int | None:
    """Where an IBAN that begins here ends; what words follow it does not matter."""
    length = _IBAN_LENGTHS.get(country.upper())
    if length is None and not country.isupper():
        return None
    wanted = range(_SHORTEST_IBAN, _LONGEST_IBAN + 1) if length is None else (length,)
    compact, at = "", start
    while len(compact) < wanted[-1] and (found := _IBAN_NEXT.match(text, at)):
        compact += found.group(1)
        at = found.end()
        if len(compact) in wanted and _ends(compact, text[at : at + 1]) and _is_iban(compact):
            return at
    return None


def _ends(compact: str, following: str) -> bool:
    """`DE89370400440532013000EUR`: a letter after the last digit is no more of it."""
    if compact[:2] in _IBAN_LENGTHS and compact[-1].isdigit():
        return not following.isdigit()
    return not following.isalnum()


def _is_iban(compact: str) -> bool:
    """The check digits of ISO 13616."""
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def _targets(profile: Profile) -> Iterable[Target]:
    for target in profile.targets.values():
        yield target
        if target.lines is not None:
            yield target.lines
