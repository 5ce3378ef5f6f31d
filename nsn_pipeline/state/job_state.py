"""What became of every document: one packed string each, and indexes to find them again.

Below `nsn:{account}:{instance}:{profile}:` (parts percent-encoded), for each record type:

    owner                       JSON: schema version and whose state this is
    types                       set of record types
    doc:<type>                  hash: document id -> attempts, first_seen, failing_since, ...
    status:<type>:<status>      set of document ids
    partition:<type>:<day>      set of document ids
    missing                     hash: reference -> number of documents that lack it
    waiting:<reference>         set of <type> US <document id>

A Lua script compares each document with its stored record and moves it between the indexes, so they
agree with the records after any interleaving of writers. With 200,000 bills over two years, 5 % of
them rejected: 286 bytes per document with all indexes, answers in milliseconds (docs/job-state.md).

State is derived: losing it costs a re-run of the partitions, never business data; the ages, which a
re-run cannot know, come back from the audit trail. Writing the same record twice changes nothing,
so a batch may be sent again after a broken connection.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Self
from urllib.parse import quote

import orjson
import redis

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.state.connection import translated

SCHEMA = 2
SCRIPT_BATCH = 500  # documents per script call: other users wait for a script to end
CALLS_AT_ONCE = 4  # script calls per pipeline: all of them are answered well within one time-out
READ_BATCH = 5_000
FIELD, ITEM = "\x1f", "\x1e"  # between the fields of a record, between the items of a field
ESCAPES = {"%": "%25", FIELD: "%1F", ITEM: "%1E"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A record as Python writes it: updated_at, status, partition, references, reasons, run id, content
# hash, sys_id, as_of (left out by earlier versions). The script puts attempts, first_seen and
# failing_since before it.
MOVE = r"""
local prefix, record_type = KEYS[1], ARGV[1]
local docs = prefix .. 'doc:' .. record_type
local RECORD = '^(%-?%d+)\31([^\31]*)\31([^\31]*)\31([^\31]*)\31[^\31]*\31([^\31]*)\31'
  .. '[^\31]*\31[^\31]*\31?(%-?%d*)$'
local adds, removes, records = {}, {}, {}  -- gathered, because every call costs more than its work

local function indexed(text)
  local at, status, partition, joined, run, as_of = text:match(RECORD)
  local references = {}
  if joined ~= '' then
    for reference in joined:gmatch('[^\30]+') do references[reference] = true end
  end
  return {at = at, status = status, partition = partition, references = references, run = run,
          as_of = tonumber(as_of)}
end
local NOTHING = {references = {}}

local function put(gathered, key, member)
  local members = gathered[key]
  if members then members[#members + 1] = member else gathered[key] = {member} end
end

local function move(id, family, old, new)
  if old == new then return end
  local index = prefix .. family .. record_type .. ':'
  if old and old ~= '' then put(removes, index .. old, id) end
  if new and new ~= '' then put(adds, index .. new, id) end
end

local function replace(id, old, new)
  move(id, 'status:', old.status, new.status)
  move(id, 'partition:', old.partition, new.partition)
  local member = record_type .. '\31' .. id
  for reference in pairs(old.references) do
    if not new.references[reference] then
      put(removes, prefix .. 'waiting:' .. reference, member)
      if redis.call('HINCRBY', prefix .. 'missing', reference, -1) < 1 then
        redis.call('HDEL', prefix .. 'missing', reference)
      end
    end
  end
  for reference in pairs(new.references) do
    if not old.references[reference] then
      put(adds, prefix .. 'waiting:' .. reference, member)
      redis.call('HINCRBY', prefix .. 'missing', reference, 1)
    end
  end
end

local function write()
  for key, members in pairs(removes) do redis.call('SREM', key, unpack(members)) end
  for key, members in pairs(adds) do redis.call('SADD', key, unpack(members)) end
  if #records > 0 then redis.call('HSET', docs, unpack(records)) end
  adds, removes, records = {}, {}, {}
end

local function stored(text)  -- nil for a document the store does not hold
  if not text then return nil end
  local attempts, first_seen, failing_since, record =
    text:match('^(%d+)\31(%-?%d*)\31(%-?%d*)\31(.*)$')
  return {attempts = attempts, first_seen = first_seen, failing_since = failing_since,
          record = record}
end
"""
RECORD = (
    MOVE
    + r"""
local function remembered(hint)  -- what the caller knows of a document the store does not hold
  local attempts, first_seen, failing_since = hint:match('^(%d+)\31(%-?%d*)\31(%-?%d*)$')
  return {attempts = attempts, first_seen = first_seen, failing_since = failing_since}
end

local function failing(before, new)
  if new.status == 'loaded' or new.status == 'retired' then return '' end
  if before.failing_since ~= '' or new.status == 'pending' then return before.failing_since end
  return new.at
end

local function judged(id, hint, text, held)
  local before = stored(held) or remembered(hint)
  if before.record == text then return end  -- a repeated call
  local new = indexed(text)
  local old = before.record and indexed(before.record) or NOTHING
  if new.as_of and old.as_of and new.as_of < old.as_of then return end  -- of an older version
  local attempts = tonumber(before.attempts)
  if old.run ~= new.run then attempts = attempts + 1 end
  local first_seen = before.first_seen ~= '' and before.first_seen or new.at
  records[#records + 1] = id
  records[#records + 1] = string.format('%d\31%s\31%s\31%s', attempts, first_seen,
    failing(before, new), text)
  replace(id, old, new)
end

redis.call('SADD', prefix .. 'types', record_type)
local documents = cjson.decode(ARGV[2])  -- one argument: a client takes its time over each
local ids, seen = {}, {}
for i = 1, #documents, 3 do ids[#ids + 1] = documents[i] end
local held = redis.call('HMGET', docs, unpack(ids))
for n, id in ipairs(ids) do
  local text = held[n]
  if seen[id] then  -- twice in one call: what it was is not what was read
    write()
    text = redis.call('HGET', docs, id)
  end
  seen[id] = true
  judged(id, documents[3 * n - 1], documents[3 * n], text)
end
write()
"""
)
FORGET = (
    MOVE
    + r"""
local before = stored(redis.call('HGET', docs, ARGV[2]))
if not before then return 0 end
replace(ARGV[2], indexed(before.record), NOTHING)
write()
redis.call('HDEL', docs, ARGV[2])
return 1
"""
)


class Status(StrEnum):
    """Where a document stands."""

    PENDING = "pending"  # accepted, not yet written
    LOADED = "loaded"  # header and all lines verified in ServiceNow
    REJECTED = "rejected"  # may not be written; `reasons` say why
    FAILED = "failed"  # should have been written and was not
    RETIRED = "retired"  # gone from NetSuite


@dataclass(frozen=True, slots=True)
class DocumentState:
    """`attempts` (runs that judged it), `first_seen` and `failing_since` are kept by the store.

    A document fails from its first rejection or failure until it is loaded or retired, replays in
    between included. What a writer puts into these three counts only for a document the store does
    not hold: that is how ages come back after Redis was lost. A state of an older version of the
    document (`as_of`) than the stored one changes nothing.
    """

    record_type: str
    document_id: str
    status: Status
    partition: str
    run_id: str
    updated_at: datetime  # aware
    reasons: tuple[str, ...] = ()
    references: tuple[str, ...] = ()  # what it waits for, such as "gl_account:7160"
    content_hash: str = ""
    sys_id: str = ""
    attempts: int = 0
    first_seen: datetime | None = None
    failing_since: datetime | None = None
    as_of: datetime | None = None  # NetSuite's last change of what was judged, where it tells


class JobState:
    """The document states of one NetSuite account, ServiceNow instance and profile."""

    def __init__(self, client: redis.Redis, *, account: str, instance: str, profile: str) -> None:
        self._client = client
        self._owner = {"account": account, "instance": instance, "profile": profile}
        self.prefix = key_prefix(account, instance, profile)
        self._record = client.register_script(RECORD)
        self._forget = client.register_script(FORGET)

    @classmethod
    def open(cls, client: redis.Redis, *, account: str, instance: str, profile: str) -> Self:
        """As the constructor, and refuse a store that another version laid out differently."""
        state = cls(client, account=account, instance=instance, profile=profile)
        state._claim()
        return state

    def _claim(self) -> None:
        key = f"{self.prefix}owner"
        mine = {"schema": SCHEMA, **self._owner}
        with translated("open job state"):
            self._client.set(key, json.dumps(mine), nx=True)
            text = self._client.get(key)
        try:
            found = json.loads(str(text))
        except ValueError:
            found = None
        if found == mine:
            return
        schema = found.get("schema") if isinstance(found, dict) else "unknown"
        if isinstance(found, dict) and schema == SCHEMA:
            raise ConfigurationError(
                f"the job state under {key} belongs to {_named(found)}, not to {_named(mine)}:"
                " states are never mixed. Use another Redis database, or delete that state"
            )
        raise ConfigurationError(
            f"the job state under {key} has layout {schema}, this version reads {SCHEMA}:"
            " use the matching version, or delete the state and run the partitions again"
        )

    def record(self, states: Iterable[DocumentState]) -> None:
        """Write a batch in few round trips; of two states of one document the later one stays.

        While the server works on some, the next are taken from `states`.
        """
        waiting: dict[str, list[str]] = {}
        under_way: Future[None] | None = None
        with translated("record document states"), ThreadPoolExecutor(1) as aside:
            for state in states:
                arguments = waiting.setdefault(state.record_type, [])
                arguments.extend((state.document_id, _hint(state), _packed(state)))
                if len(arguments) == 3 * SCRIPT_BATCH * CALLS_AT_ONCE:
                    if under_way is not None:
                        under_way.result()
                    under_way = aside.submit(self._send, state.record_type, arguments)
                    del waiting[state.record_type]
            if under_way is not None:
                under_way.result()
            for record_type, arguments in waiting.items():
                self._send(record_type, arguments)

    def _send(self, record_type: str, arguments: list[str]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for part in _parts(arguments, 3 * SCRIPT_BATCH):
            documents = orjson.dumps(part)
            self._record(keys=[self.prefix], args=[record_type, documents], client=pipeline)
        pipeline.execute()

    def forget(self, record_type: str, document_id: str) -> bool:
        """Drop a document and its index entries; False when there was none."""
        with translated("forget a document state"):
            return bool(self._forget(keys=[self.prefix], args=[record_type, document_id]))

    def get(self, record_type: str, document_id: str) -> DocumentState | None:
        return self.get_many(record_type, [document_id]).get(document_id)

    def get_many(self, record_type: str, ids: Collection[str]) -> dict[str, DocumentState]:
        """The known ones of these documents, by id."""
        found: dict[str, DocumentState] = {}
        with translated("read document states"):
            for part in _parts(list(ids), READ_BATCH):
                texts: Any = self._client.hmget(f"{self.prefix}doc:{record_type}", part)
                for document_id, text in zip(part, texts, strict=True):
                    if text is not None:
                        found[document_id] = _unpacked(record_type, document_id, text)
        return found

    def ids_by_status(self, record_type: str, status: Status) -> list[str]:
        with translated("read documents by status"):
            ids: Any = self._client.smembers(f"{self.prefix}status:{record_type}:{status}")
        return sorted(ids, key=_numbers_in_order)

    def by_status(self, status: Status, record_type: str | None = None) -> Iterator[DocumentState]:
        """Every document in this status, in order, a few thousand in memory at a time."""
        for name in [record_type] if record_type else self._types():
            for part in _parts(self.ids_by_status(name, status), READ_BATCH):
                yield from self._still(name, part, lambda state: state.status is status)

    def in_partition(self, day: str, record_type: str | None = None) -> list[DocumentState]:
        """Every document of this partition, of one record type or of all."""
        states: list[DocumentState] = []
        for name in [record_type] if record_type else self._types():
            with translated("read documents of a partition"):
                ids: Any = self._client.smembers(f"{self.prefix}partition:{name}:{_escaped(day)}")
            states += self._still(name, ids, lambda state: state.partition == day)
        return states

    def partition_sizes(self, record_type: str, days: Sequence[str]) -> dict[str, int]:
        """How many documents each of these partitions holds, without reading them."""
        if not days:
            return {}
        with translated("count documents of partitions"):
            pipeline = self._client.pipeline(transaction=False)
            for day in days:
                pipeline.scard(f"{self.prefix}partition:{record_type}:{_escaped(day)}")
            sizes: list[int] = pipeline.execute()
        return dict(zip(days, sizes, strict=True))

    def waiting_for(self, reference: str) -> list[DocumentState]:
        """Every document that names this missing reference."""
        with translated("read waiting documents"):
            members: Any = self._client.smembers(f"{self.prefix}waiting:{_escaped(reference)}")
        ids: dict[str, list[str]] = {}
        for record_type, _, document_id in (member.partition(FIELD) for member in members):
            ids.setdefault(record_type, []).append(document_id)
        return [
            state
            for record_type in sorted(ids)
            for state in self._still(
                record_type, ids[record_type], lambda state: reference in state.references
            )
        ]

    def missing_references(self) -> dict[str, int]:
        """How many documents wait for each reference, the most wanted first."""
        with translated("read missing references"):
            counts: Any = self._client.hgetall(f"{self.prefix}missing")
        found = {_restored(reference): int(count) for reference, count in counts.items()}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def counts(self) -> dict[str, dict[Status, int]]:
        """Documents by record type and status; what is zero is left out."""
        cells = [(name, status) for name in self._types() for status in Status]
        with translated("count documents"):
            pipeline = self._client.pipeline(transaction=False)
            for name, status in cells:
                pipeline.scard(f"{self.prefix}status:{name}:{status}")
            sizes: list[int] = pipeline.execute()
        found: dict[str, dict[Status, int]] = {}
        for (name, status), size in zip(cells, sizes, strict=True):
            if size:
                found.setdefault(name, {})[status] = size
        return found

    def _types(self) -> list[str]:
        with translated("read record types"):
            names: Any = self._client.smembers(f"{self.prefix}types")
        return sorted(names)

    def _still(
        self, record_type: str, ids: Iterable[str], condition: Callable[[DocumentState], bool]
    ) -> list[DocumentState]:
        """The records behind index entries, less those that moved on since the index was read."""
        ordered = sorted(ids, key=_numbers_in_order)
        return [state for state in self.get_many(record_type, ordered).values() if condition(state)]


def key_prefix(account: str, instance: str, profile: str) -> str:
    """What all keys of one account pair and profile begin with."""
    return f"nsn:{':'.join(quote(part, safe='') for part in (account, instance, profile))}:"


def _packed(state: DocumentState) -> str:
    return FIELD.join(
        (
            _us(state.updated_at),
            Status(state.status).value,
            _escaped_often(state.partition),
            _joined(state.references),
            _joined(state.reasons),
            _escaped_often(state.run_id),
            _escaped(state.content_hash),
            _escaped(state.sys_id),
            "" if state.as_of is None else _us_of(state.as_of),
        )
    )


def _joined(items: Collection[str]) -> str:
    return ITEM.join(_escaped(item) for item in items if item) if items else ""


def _hint(state: DocumentState) -> str:
    known = (state.first_seen, state.failing_since)
    if state.first_seen is None and state.failing_since is None:
        return f"{state.attempts}{FIELD}{FIELD}"
    return FIELD.join((str(state.attempts), *("" if at is None else _us(at) for at in known)))


def _unpacked(record_type: str, document_id: str, text: str) -> DocumentState:
    attempts, first_seen, failing_since, updated_at, status, partition, *rest = text.split(FIELD)
    references, reasons, run_id, content_hash, sys_id, *as_of = rest
    return DocumentState(
        record_type=record_type,
        document_id=document_id,
        status=Status(status),
        partition=_restored(partition),
        run_id=_restored(run_id),
        updated_at=_instant(updated_at),
        reasons=tuple(map(_restored, reasons.split(ITEM))) if reasons else (),
        references=tuple(map(_restored, references.split(ITEM))) if references else (),
        content_hash=_restored(content_hash),
        sys_id=_restored(sys_id),
        attempts=int(attempts),
        first_seen=_instant(first_seen),
        failing_since=_instant(failing_since) if failing_since else None,
        as_of=_instant(as_of[0]) if as_of and as_of[0] else None,
    )


def _named(owner: Mapping[str, object]) -> str:
    return " / ".join(str(owner.get(part)) for part in ("account", "instance", "profile"))


def _us_of(at: datetime) -> str:
    return str((at - EPOCH) // timedelta(microseconds=1))


@lru_cache(maxsize=8)  # a batch carries one instant
def _us(at: datetime) -> str:
    return _us_of(at)


def _instant(microseconds: str) -> datetime:
    return EPOCH + timedelta(microseconds=int(microseconds))


def _escaped(text: str) -> str:
    if text.isalnum():  # nearly always
        return text
    for character, escape in ESCAPES.items():
        text = text.replace(character, escape)
    return text


@lru_cache(maxsize=1024)
def _escaped_often(text: str) -> str:
    """For what a batch says of nearly all its documents."""
    return _escaped(text)


def _restored(text: str) -> str:
    for character, escape in reversed(ESCAPES.items()):
        text = text.replace(escape, character)
    return text


def _numbers_in_order(document_id: str) -> tuple[int, str]:
    return len(document_id), document_id


def _parts(items: list[str], size: int) -> Iterator[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
