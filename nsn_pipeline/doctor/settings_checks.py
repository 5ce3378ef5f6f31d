"""Settings: variables nobody reads, values nothing can work with, the state server.

Nothing here talks to a vendor.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches

import redis

from nsn_pipeline.clients.accounts import netsuite_account, servicenow_instance, shown
from nsn_pipeline.doctor.finding import Checklist
from nsn_pipeline.errors import ConfigurationError, NsnError
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.model import Profile
from nsn_pipeline.settings import (
    CORRECT_THEM,
    VARIABLES,
    ProjectSettings,
    Settings,
    load_project_settings,
    load_settings,
)
from nsn_pipeline.state.connection import connect, translated
from nsn_pipeline.state.tokens import UnusableKeyError, load_keys

CERTIFICATE_VARIABLE = "NETSUITE_CERTIFICATE_PATH"  # only read here, to tell the days left
KNOWN = frozenset({*VARIABLES, CERTIFICATE_VARIABLE})
_PREFIXES = ("NSN_", "NETSUITE_", "SERVICENOW_")
_EXPECTED_SERVER = (6, 2)  # the commands of our scripts


def check_variables(checklist: Checklist, environment: Mapping[str, str]) -> None:
    """Name variables that look like ours and are not: a typing slip is otherwise silent."""
    unknown = sorted(
        name
        for name in environment
        if name not in KNOWN and (name.startswith(_PREFIXES) or _is_nearly_ours(name))
    )
    for name in unknown:
        close = get_close_matches(name, sorted(KNOWN), n=1, cutoff=0.75)
        remedy = f"Did you mean {close[0]}?" if close else "Remove it, or see .env.example."
        checklist.warn(
            f"settings.variable.{name}", "Variables", f"{name} is set and nothing reads it", remedy
        )
    if not unknown:
        checklist.ok("settings.variables", "Variables", "every variable set is known")


def _is_nearly_ours(name: str) -> bool:
    """A slip in the first word, as in SERVICE_NOW_INSTANCE; more than a slip is not our matter."""
    return bool(get_close_matches(name, sorted(KNOWN), n=1, cutoff=0.9))


def check_settings(checklist: Checklist, environment: Mapping[str, str]) -> Settings | None:
    """The settings, or None when they name no two systems to talk to."""
    try:
        settings = load_settings(environment)
    except ConfigurationError as error:
        checklist.fail(
            "settings.values",
            "Settings",
            str(error).removesuffix(f". {CORRECT_THEM}"),
            CORRECT_THEM,
        )
        return None
    bundle = settings.project.ca_bundle
    if bundle is not None and not bundle.exists():
        checklist.fail(
            "settings.values",
            "Settings",
            f"NSN_CA_BUNDLE: {bundle} does not exist",
            "Set NSN_CA_BUNDLE to the PEM file of your certificate authority, or unset it.",
        )
        return None
    account = _named(settings.netsuite.account_id, lambda text: netsuite_account(text).account_id)
    instance = _named(settings.servicenow.instance, lambda text: servicenow_instance(text).name)
    pair = f"NetSuite {account}, ServiceNow {instance}"
    checklist.ok(
        "settings.values",
        "Settings",
        f"{pair}{', simulated' if settings.is_sandbox else ''}",
        timezone=settings.project.timezone,
        profile=settings.project.profile,
    )
    return settings


def _named(text: str, read: Callable[[str], str]) -> str:
    """The name in `text`; what holds none is judged later, and may carry a login."""
    try:
        return read(text)
    except ConfigurationError:
        return shown(text)


def check_profile(checklist: Checklist, settings: Settings) -> Profile | None:
    """The profile of the settings, or None when it cannot be used."""
    try:
        profile = load_profile(settings.project.profile)
    except ConfigurationError as error:
        checklist.fail(
            "settings.profile", "Profile", str(error), "Correct the profile that NSN_PROFILE names."
        )
        return None
    checklist.ok("settings.profile", "Profile", profile.name, targets=len(profile.targets))
    return profile


def project_settings(environment: Mapping[str, str]) -> ProjectSettings | None:
    """What the state server needs, also when the vendors' settings are faulty."""
    try:
        return load_project_settings(environment)
    except ConfigurationError:
        return None


def check_redis(checklist: Checklist, project: ProjectSettings) -> None:
    """Whether the state server answers, and whether it keeps what it is given."""
    title = "State server"
    url = project.redis_url.get_secret_value() if project.redis_url else None
    try:
        with connect(url, project.home) as connection:
            with translated("read its settings"):
                info = server_info(connection.client)
            place, embedded = connection.server, connection.embedded is not None
    except NsnError as error:
        checklist.fail(
            "redis.reachable",
            title,
            str(error),
            "See that the state server runs and can be reached, or correct REDIS_URL; without "
            "REDIS_URL an embedded one is used.",
        )
        for name in ("version", "eviction", "persistence"):
            checklist.skip(f"redis.{name}", title, "a state server that answers")
        return
    kind = "embedded" if embedded else "external"
    checklist.ok("redis.reachable", title, f"{place} answers", kind=kind)
    check_server(checklist, info)


def check_key(checklist: Checklist, settings: Settings) -> None:
    """Whether the key can be used that seals cached tokens and refusals: jobs stop without."""
    project, title = settings.project, "Key of the token cache"
    master_key = project.master_key.get_secret_value() if project.master_key else None
    try:
        load_keys(master_key, project.home, project.master_key_file)
    except UnusableKeyError as error:
        checklist.fail("settings.master_key", title, error.what, error.cure)
        return
    checklist.ok("settings.master_key", title, "can be used")


def check_server(checklist: Checklist, info: Mapping[str, str]) -> None:
    """What the server tells about itself; hosted ones may tell nothing."""
    check_version(checklist, info)
    _check_eviction(checklist, info)
    _check_persistence(checklist, info)


def check_version(checklist: Checklist, info: Mapping[str, str]) -> None:
    """Whether the server knows the commands of our scripts."""
    title, version = "State server version", info.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if not numbers:
        checklist.unverified("redis.version", title, "the server does not tell its version")
    elif numbers < _EXPECTED_SERVER:
        checklist.fail(
            "redis.version", title, f"version {version}", "Use Redis 6.2 or later, or any Valkey."
        )
    else:
        checklist.ok("redis.version", title, version, version=version)


def _check_eviction(checklist: Checklist, info: Mapping[str, str]) -> None:
    title, policy = "State server eviction", info.get("maxmemory_policy")
    if policy is None:
        checklist.unverified(
            "redis.eviction",
            title,
            "the server does not tell its eviction policy",
            "Make sure that maxmemory-policy is noeviction.",
        )
    elif policy != "noeviction":
        checklist.warn(
            "redis.eviction",
            title,
            f"maxmemory-policy is {policy}: under memory pressure job state would vanish",
            "Set maxmemory-policy to noeviction.",
            policy=policy,
        )
    else:
        checklist.ok("redis.eviction", title, policy)


def _check_persistence(checklist: Checklist, info: Mapping[str, str]) -> None:
    """Losing the state costs a re-read, never a record: so this is advice."""
    title = "State server persistence"
    log, snapshots = info.get("aof_enabled"), info.get("rdb_last_save_time")
    if log is None:
        checklist.unverified("redis.persistence", title, "the server does not tell")
    elif info.get("rdb_last_bgsave_status") == "err" or info.get("aof_last_write_status") == "err":
        checklist.warn(
            "redis.persistence",
            title,
            "the server could not write its data to disk",
            "Make room on the state server's disk, or give it write access to its directory.",
        )
    else:
        kind = "append-only file" if str(log) == "1" else "snapshots, if configured"
        checklist.ok("redis.persistence", title, kind, last_snapshot=snapshots)


def server_info(client: redis.Redis) -> dict[str, str]:
    """What the server tells about itself."""
    try:
        info = client.info()
    except redis.ResponseError:  # some hosted servers allow data commands only
        return {}
    return {str(name): str(value) for name, value in info.items()}  # pyright: ignore[reportAttributeAccessIssue]  sync client
