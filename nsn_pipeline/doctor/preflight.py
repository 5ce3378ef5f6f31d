"""The checks a job makes before it writes: roles, tables and columns, through its own connections.

Seconds long, shared tokens, and remembered for ten minutes: the steps of one job ask once. Only a
clean bill is remembered, so that a cure works at once.
"""

import hashlib
import json
import time
from collections.abc import Callable

from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor import netsuite_data, netsuite_login, servicenow_tables
from nsn_pipeline.doctor.finding import Checklist, Finding, blockers, from_json, to_json
from nsn_pipeline.doctor.needs import source_needs, target_needs
from nsn_pipeline.errors import AuthenticationError, ConfigurationError
from nsn_pipeline.state.connection import translated

_KEPT_S = 600


def preflight(
    connections: Connections, *, fresh: bool = False, now: Callable[[], float] = time.time
) -> list[Finding]:
    """Findings worth a note; raises ConfigurationError when a run should not start.

    Outages are raised as the TransientError they are. `fresh` asks again in any case.
    """
    redis = connections.redis.client
    key = f"nsn:preflight:{_fingerprint(connections)}"
    with translated("read the last preflight"):
        kept = None if fresh else redis.get(key)
    if isinstance(kept, str):
        return from_json(json.loads(kept))
    checklist = Checklist(raises_outages=True)
    _check_netsuite(checklist, connections)
    _check_servicenow(checklist, connections)
    found = blockers(checklist.findings)
    if found:
        listed = "\n".join(f"- {finding.detail}. {finding.remedy}" for finding in found)
        raise ConfigurationError(f"nothing was written; `nsn doctor` tells more:\n{listed}")
    document = to_json(checklist.findings) | {"checked_at": round(now())}
    with translated("keep the preflight"):
        redis.set(key, json.dumps(document), ex=_KEPT_S)
    return checklist.findings


def _check_netsuite(checklist: Checklist, connections: Connections) -> None:
    client = connections.netsuite
    tba = connections.settings.netsuite.auth == "tba"
    if tba:
        netsuite_login.note_tba(checklist)
    if not netsuite_login.check_login(checklist, client, tba=tba):
        return
    needs = source_needs(connections.profile)
    found = netsuite_data.survey(client, needs)
    currency = connections.settings.project.base_currency
    netsuite_data.check_tables(checklist, needs, found, base_currency=currency)


def _check_servicenow(checklist: Checklist, connections: Connections) -> None:
    try:
        needs = target_needs(connections.profile)
        servicenow_tables.check_tables(checklist, connections.servicenow, needs)
    except AuthenticationError as error:
        checklist.fail(
            "servicenow.login", "ServiceNow login", str(error), "Run `nsn doctor` for the causes."
        )


def _fingerprint(connections: Connections) -> str:
    """What the verdict depends on, and nothing secret: two accounts never share one."""
    settings = connections.settings
    parts = (
        connections.account.account_id,
        settings.netsuite.base_url,
        settings.netsuite.auth,
        connections.instance.name,
        settings.servicenow.base_url,
        settings.servicenow.auth,
        settings.project.base_currency,
        repr(connections.profile),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
