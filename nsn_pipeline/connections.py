"""Opens what a run talks to: both clients, Redis, the landing files, the profile and the overrides.

One place builds them from settings, so that Dagster steps and commands share limits, tokens and
naming. Everything is opened on first use: a step that only reads files connects to nothing.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Self

import pandas as pd
from pydantic import SecretStr
from requests.auth import AuthBase

from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.clients import netsuite, servicenow
from nsn_pipeline.clients.accounts import (
    NetSuiteAccount,
    ServiceNowInstance,
    netsuite_account,
    netsuite_base_url,
    servicenow_base_url,
    servicenow_instance,
)
from nsn_pipeline.clients.grants import netsuite_token_source, servicenow_token_source
from nsn_pipeline.clients.http import Http, HttpStats
from nsn_pipeline.clients.netsuite import NetSuiteClient
from nsn_pipeline.clients.refusals import LoginGuard
from nsn_pipeline.clients.retry import Limiter, RetryPolicy
from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.clients.tba import END, HOW_TO_MOVE, TbaAuth, TbaCredentials
from nsn_pipeline.clients.tokens import BearerAuth, basic_auth
from nsn_pipeline.credentials.core_dumps import forbid_core_dumps
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.landing import Landing
from nsn_pipeline.load.pacing import AdaptivePacer
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.writer import Loader
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.mappings import load_overrides
from nsn_pipeline.profiles.model import Profile
from nsn_pipeline.settings import NetSuiteSettings, Settings
from nsn_pipeline.state.connection import Connection, connect
from nsn_pipeline.state.job_state import JobState, key_prefix
from nsn_pipeline.state.leases import WAIT_S, RedisLimiter
from nsn_pipeline.state.limits import FallbackLimiter
from nsn_pipeline.state.refused_logins import login_guard
from nsn_pipeline.state.retired_today import RetiredToday
from nsn_pipeline.state.tokens import LOCK_WAIT_S, RedisTokenCache
from nsn_pipeline.state.trail import Trail
from nsn_pipeline.state.trail_anchor import RedisAnchors
from nsn_pipeline.state.trail_recorder import TrailRecorder

TIMEOUT_S = (10.0, 120.0)  # to connect, to answer
# Dagster gives a sensor's tick 60 s in all; what is not there now is asked for by the next tick.
BRIEF_TIMEOUT_S = (4.0, 15.0)
BRIEF_WAIT_S = 10.0
BRIEF_POLICY = RetryPolicy(max_attempts=2, max_delay_s=3.0)
LOGIN_PROBES = {"netsuite": netsuite.LOGIN_PROBE, "servicenow": servicenow.LOGIN_PROBE}
OVERRIDE_FILES = {"gl_account": "gl_accounts.csv", "cost_center": "cost_centers.csv"}


class Connections:
    """Everything one step or command needs, closed together; `is_plan` where nothing is written.

    `brief` ones give up within seconds where a run would be patient: for the tick of a sensor.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run_id: str,
        is_plan: bool = False,
        now: Callable[[], float] = time.time,
        brief: bool = False,
    ) -> None:
        forbid_core_dumps()
        self.settings = settings
        self.run_id = run_id
        self.is_plan = is_plan
        self._now = now  # for the lives of tokens and the stamps of signatures
        self._brief = brief
        self._closing = ExitStack()
        self._https: list[Http] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    @cached_property
    def account(self) -> NetSuiteAccount:
        """The NetSuite account, in its canonical spelling."""
        return netsuite_account(self.settings.netsuite.account_id)

    @cached_property
    def instance(self) -> ServiceNowInstance:
        """The ServiceNow instance."""
        return servicenow_instance(self.settings.servicenow.instance)

    @cached_property
    def netsuite_ui(self) -> str:
        """Where a person opens NetSuite records."""
        return self.account.ui_url

    @cached_property
    def profile(self) -> Profile:
        """Where each record type lands."""
        return load_profile(self.settings.project.profile)

    @cached_property
    def landing(self) -> Landing:
        """The landing files of this account pair and profile.

        A plan's are apart: a sync of the same days at the same time must find its own.
        """
        folder = "planned" if self.is_plan else "landing"
        return Landing(self.settings.project.home / folder / self._pair)

    @property
    def landing_of_syncs(self) -> Landing:
        """What syncs read, in a plan as well: to look at, never to write."""
        return Landing(self.settings.project.home / "landing" / self._pair)

    @cached_property
    def redis(self) -> Connection:
        """The Redis server: `REDIS_URL`, or the embedded one."""
        project = self.settings.project
        return self._closing.enter_context(connect(_plain(project.redis_url), project.home))

    @cached_property
    def job_state(self) -> JobState:
        """Per-document state of this account pair and profile."""
        return JobState.open(
            self.redis.client,
            account=self.account.account_id,
            instance=self.instance.name,
            profile=self.profile.name,
        )

    @cached_property
    def retired_today(self) -> RetiredToday:
        """What runs retired today without anybody's leave."""
        return RetiredToday(self.redis.client, prefix=self.job_state.prefix)

    @cached_property
    def trail(self) -> Trail:
        """The audit trail of this account pair and profile."""
        owner = {
            "account": self.account.account_id,
            "instance": self.instance.name,
            "profile": self.profile.name,
        }
        trail = Trail(
            self.settings.project.home / "audit" / self._pair,
            owner=owner,
            anchors=RedisAnchors(lambda: self.redis.client, key_prefix(**owner)),
        )
        self._closing.callback(trail.close)
        return trail

    @cached_property
    def recorder(self) -> TrailRecorder:
        """Writes this run's part of the trail."""
        return TrailRecorder(self.trail, run_id=self.run_id, privacy=Privacy.of(self.profile))

    @property
    def _pair(self) -> str:
        """The folder name of what belongs to this account pair and profile alone."""
        return f"{self.account.label}.{self.instance.name}.{self.profile.name}"

    @cached_property
    def netsuite(self) -> NetSuiteClient:
        """NetSuite's SuiteQL, within the account-wide concurrency limit."""
        settings = self.settings.netsuite
        base_url = netsuite_base_url(self.account, settings.base_url)
        auth = self._netsuite_auth(settings, base_url)
        limiter = self._limiter(f"netsuite:{self.account.account_id}", settings.concurrency)
        http = self._http("netsuite", base_url, auth=auth, limiter=limiter)
        client = NetSuiteClient(http, concurrency=settings.concurrency)
        if settings.auth == "tba":
            client.note(f"{END}. {HOW_TO_MOVE}")
        return client

    @cached_property
    def servicenow(self) -> ServiceNowClient:
        """ServiceNow's REST interface."""
        settings = self.settings.servicenow
        base_url = servicenow_base_url(self.instance, settings.base_url)
        if settings.auth == "basic":
            auth = basic_auth(_required(settings.username), _required(settings.password))
        else:
            client_id = _required(settings.client_id)
            tokens = servicenow_token_source(
                self._http("servicenow", base_url),
                client_id=client_id,
                client_secret=_required(settings.client_secret),
                now=self._now,
            )
            key = _token_key("servicenow", self.instance.name, base_url, client_id)
            auth = BearerAuth(tokens, key=key, cache=self._token_cache, now=self._now)
        limiter = self._limiter(f"servicenow:{self.instance.name}", settings.concurrency)
        return ServiceNowClient(self._http("servicenow", base_url, auth=auth, limiter=limiter))

    @cached_property
    def guards(self) -> Mapping[str, LoginGuard]:
        """By system, what keeps a refused login from being repeated, by this process or others."""
        settings = self.settings
        return {
            system: login_guard(
                section, settings.project, client=lambda: self.redis.client, now=self._now
            )
            for system, section in (
                ("netsuite", settings.netsuite),
                ("servicenow", settings.servicenow),
            )
        }

    def stranger_to_netsuite(self) -> Http:
        """A connection without credentials: to see who answers, and what time it is there."""
        base_url = netsuite_base_url(self.account, self.settings.netsuite.base_url)
        return self._http("netsuite", base_url)

    @cached_property
    def loader(self) -> Loader:
        """Writes documents to ServiceNow, at most as much at once as the settings allow."""
        servicenow = self.settings.servicenow
        pacer = AdaptivePacer(servicenow.concurrency, largest=servicenow.batch_size)
        return self._closing.enter_context(
            Loader(
                self.servicenow,
                instance=self.instance.name,
                reader_currency=servicenow.currency,
                pacer=pacer,
                before_send=self.recorder.sending,
            )
        )

    def resolver(self) -> Resolver:
        """Finds the sys_ids of records that others refer to; what it learns it keeps."""
        return Resolver(self.loader, self.profile.targets)

    def mapping_digest(self) -> str:
        """Stands for how records are mapped: the profile and the overrides as they are now."""
        digest = hashlib.blake2b(repr(self.profile).encode(), digest_size=16)
        for kind in sorted(OVERRIDE_FILES):
            digest.update(self.overrides(kind).to_csv(index=False).encode())
        return digest.hexdigest()

    def call_stats(self, system: str) -> HttpStats:
        """Calls made so far to one system, token requests included."""
        stats = [http.stats() for http in self._https if http.system == system]
        return HttpStats(
            calls=sum(one.calls for one in stats),
            retries=sum(one.retries for one in stats),
            throttled=sum(one.throttled for one in stats),
            renewals=sum(one.renewals for one in stats),
        )

    def overrides(self, kind: str) -> pd.DataFrame:
        """The crosswalk overrides of `gl_account` or `cost_center`."""
        return load_overrides(self.settings.project.mappings / OVERRIDE_FILES[kind])

    def _netsuite_auth(self, settings: NetSuiteSettings, base_url: str) -> AuthBase:
        if settings.auth == "tba":
            credentials = TbaCredentials(
                consumer_key=_required(settings.consumer_key),
                consumer_secret=_required(settings.consumer_secret),
                token_id=_required(settings.token_id),
                token_secret=_required(settings.token_secret),
            )
            return TbaAuth(credentials, realm=self.account.account_id, now=self._now)
        client_id = _required(settings.client_id)
        certificate_id = _required(settings.certificate_id)
        tokens = netsuite_token_source(
            self._http("netsuite", base_url),
            client_id=client_id,
            certificate_id=certificate_id,
            private_key=_required(settings.private_key),
            now=self._now,
        )
        key = _token_key("netsuite", self.account.account_id, base_url, client_id, certificate_id)
        return BearerAuth(tokens, key=key, cache=self._token_cache, now=self._now)

    @cached_property
    def _token_cache(self) -> RedisTokenCache:
        project = self.settings.project
        return RedisTokenCache(
            self.redis.client,
            home=project.home,
            master_key=_plain(project.master_key),
            master_key_file=project.master_key_file,
            now=self._now,
            lock_wait_s=BRIEF_WAIT_S if self._brief else LOCK_WAIT_S,
            presence=self.redis.presence,
        )

    def _limiter(self, name: str, limit: int) -> Limiter:
        wait_s = BRIEF_WAIT_S if self._brief else WAIT_S
        presence = self.redis.presence
        shared = RedisLimiter(
            self.redis.client, name, limit, wait_s=wait_s, presence=presence, keeps=True
        )
        self._closing.callback(shared.close)
        return FallbackLimiter(shared, name=name, limit=limit, presence=presence)

    def _http(
        self,
        system: str,
        base_url: str,
        *,
        auth: AuthBase | None = None,
        limiter: Limiter | None = None,
    ) -> Http:
        bundle = self.settings.project.ca_bundle
        if bundle is not None and not bundle.exists():  # the library's error has no words for it
            raise ConfigurationError(f"NSN_CA_BUNDLE: {bundle} does not exist")
        http = Http(
            system=system,
            base_url=base_url,
            auth=auth,
            guard=self.guards[system] if auth is not None else None,
            probe=LOGIN_PROBES[system],
            limiter=limiter,
            policy=BRIEF_POLICY if self._brief else RetryPolicy(),
            timeout_s=BRIEF_TIMEOUT_S if self._brief else TIMEOUT_S,
            verify=str(bundle) if bundle else True,
        )
        self._closing.callback(http.close)
        self._https.append(http)
        return http


def _token_key(system: str, account: str, *identity: str) -> str:
    """Names a cached token; another client id is another token. Hashed: ids are half a secret."""
    digest = hashlib.blake2b("\n".join(identity).encode(), digest_size=12).hexdigest()
    return f"{system}:{account}:{digest}"


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _required(secret: SecretStr | None) -> str:
    # `ServiceNowSettings` refuses an incomplete section, so this cannot be empty here.
    assert secret is not None  # noqa: S101
    return secret.get_secret_value()
