"""The checks a job makes when it starts: roles, tables and columns, through its own connections.

Seconds long, shared tokens, and remembered for ten minutes: the steps of one job ask once, also
when they start together. A clean bill is remembered, and so is a refused login, by the guard of its
system (`clients.refusals`). Other findings are remembered for the other steps of their run only,
so that a cure works at once, and so does another password.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version

from pydantic import SecretStr

from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor import (
    netsuite_data,
    netsuite_login,
    servicenow_data,
    servicenow_login,
    servicenow_tables,
)
from nsn_pipeline.doctor.finding import Checklist, Finding, blockers, from_json, to_json
from nsn_pipeline.doctor.needs import source_needs, target_needs
from nsn_pipeline.doctor.settings_checks import check_version, server_info
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    NsnError,
    ServerFaultError,
    UnreachableError,
)
from nsn_pipeline.state.connection import translated
from nsn_pipeline.state.leases import named_lock

_log = logging.getLogger(__name__)
_KEPT_S = 600
_LOCK_WAIT_S = 120.0  # longer than the checks take; a second examination after that does no harm
_LOGINS = frozenset(
    {"netsuite.key", "netsuite.token", "netsuite.login", "servicenow.token", "servicenow.login"}
)


def preflight(
    connections: Connections, *, fresh: bool = False, now: Callable[[], float] = time.time
) -> list[Finding]:
    """Findings worth a note; raises ConfigurationError when a run should not start.

    Outages are raised as the TransientError they are. `fresh` asks again in any case.
    """
    kept = None if fresh else _kept(connections)
    if kept is not None:
        return kept
    if fresh:
        for guard in connections.guards.values():
            guard.forget()
    with _alone(connections):
        if not fresh:
            kept = _kept(connections)
            if kept is not None:
                return kept
            _stop_if_found_before(connections)
            _stop_if_just_refused(connections)
        return _examined(connections, now)


def forget(connections: Connections) -> None:
    """Ask again next time: a run was refused something that was there when it was examined."""
    with translated("forget the preflight"):
        connections.redis.client.delete(_clean_key(connections))


def _examined(connections: Connections, now: Callable[[], float]) -> list[Finding]:
    redis = connections.redis.client
    checklist = Checklist(raises_outages=True)
    _check_netsuite(checklist, connections, now)
    _check_servicenow(checklist, connections)
    with translated("read the state server's version"):
        check_version(checklist, server_info(redis))
    found = blockers(checklist.findings)
    if found:
        words = _stopped([_line(finding) for finding in found])
        with translated("keep what stopped the run"):
            redis.set(_stopped_key(connections), words, ex=_KEPT_S)
        for finding in found:
            if finding.id in _LOGINS:
                connections.guards[finding.id.partition(".")[0]].explain(_line(finding))
        raise ConfigurationError(words)
    document = to_json(checklist.findings) | {"checked_at": round(now())}
    with translated("keep the preflight"):
        redis.set(_clean_key(connections), json.dumps(document), ex=_KEPT_S)
    return checklist.findings


def _kept(connections: Connections) -> list[Finding] | None:
    """The findings of a clean bill that still holds."""
    with translated("read the last preflight"):
        kept = connections.redis.client.get(_clean_key(connections))
    try:
        return from_json(json.loads(kept)) if isinstance(kept, str) else None
    except (ValueError, KeyError, TypeError):  # damaged, or written by another version
        return None


@contextmanager
def _alone(connections: Connections) -> Iterator[None]:
    """Steps that start together ask one after the other: the others find what the first found."""
    with ExitStack() as held:
        try:
            name = f"preflight:{_fingerprint(connections)}"
            redis = connections.redis
            held.enter_context(
                named_lock(redis.client, name, wait_s=_LOCK_WAIT_S, presence=redis.presence)
            )
        except NsnError as error:
            _log.warning("preflight_lock_unavailable error=%s", error)
        yield


def _stop_if_found_before(connections: Connections) -> None:
    """What stopped one step stops the others of its run; the next run asks anew."""
    with translated("read what stopped the run"):
        words = connections.redis.client.get(_stopped_key(connections))
    if isinstance(words, str):
        raise ConfigurationError(words)


def _stop_if_just_refused(connections: Connections) -> None:
    held = {guard: guard.holding() for guard in connections.guards.values()}
    told = [guard.told(refusal) for guard, refusal in held.items() if refusal is not None]
    if told:
        raise ConfigurationError(_stopped(told))


def _line(finding: Finding) -> str:
    return f"{finding.detail}. {finding.remedy}"


def _stopped(lines: Iterable[str]) -> str:
    listed = "\n".join(f"- {line}" for line in lines)
    return f"nothing was written; `nsn doctor` tells more:\n{listed}"


def _clean_key(connections: Connections) -> str:
    return f"nsn:preflight:{_fingerprint(connections)}"


def _stopped_key(connections: Connections) -> str:
    return f"nsn:preflight-stopped:{_fingerprint(connections)}:{connections.run_id}"


def _check_netsuite(
    checklist: Checklist, connections: Connections, now: Callable[[], float]
) -> None:
    tba = connections.settings.netsuite.auth == "tba"
    if tba:
        netsuite_login.note_tba(checklist)
    elif netsuite_login.check_key(checklist, connections.settings.netsuite, {}) is None:
        return
    stranger = connections.stranger_to_netsuite()
    if not netsuite_login.check_host(checklist, stranger, connections.account, now, tba=tba):
        return
    if not netsuite_login.check_login(checklist, connections.netsuite, tba=tba):
        return
    needs = source_needs(connections.profile)
    try:
        found = netsuite_data.survey(connections.netsuite, needs)
    except AuthenticationError as error:
        netsuite_login.login_refused(checklist, error, tba=tba)
        return
    currency = connections.settings.project.base_currency
    netsuite_data.check_tables(checklist, needs, found, base_currency=currency)


def _check_servicenow(checklist: Checklist, connections: Connections) -> None:
    try:
        needs, client = target_needs(connections.profile), connections.servicenow
        for table in servicenow_tables.check_tables(checklist, client, needs):
            servicenow_data.check_readable(checklist, client, needs[table])
    except AuthenticationError as error:
        basic = connections.settings.servicenow.auth == "basic"
        servicenow_login.login_refused(checklist, error, basic=basic)
    except UnreachableError as error:
        checklist.raise_outage(error, servicenow_login.CHECK_ADDRESS)
    except ServerFaultError as error:
        checklist.raise_outage(error, servicenow_login.NO_JSON)


def _fingerprint(connections: Connections) -> str:
    """What the verdict depends on, and nothing secret: two accounts never share one."""
    settings = connections.settings
    netsuite, servicenow = settings.netsuite, settings.servicenow
    identities = (
        netsuite.client_id,
        netsuite.certificate_id,
        netsuite.consumer_key,
        netsuite.token_id,
        servicenow.client_id,
        servicenow.username,
    )
    parts = (
        connections.account.account_id,
        settings.netsuite.base_url,
        settings.netsuite.auth,
        connections.instance.name,
        settings.servicenow.base_url,
        settings.servicenow.auth,
        settings.project.base_currency,
        repr(connections.profile),
        _version(),
        *(_shown(value) for value in identities),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _version() -> str:
    try:
        return version("nsn-pipeline")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return ""


def _shown(value: SecretStr | str | None) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value or ""
