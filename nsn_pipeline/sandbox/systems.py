"""The two simulated systems as one sandbox offers them: their options, and how to get in."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from starlette.types import ASGIApp

from nsn_pipeline.sandbox.admin import NetSuiteAdmin, ServiceNowAdmin, SideDoor
from nsn_pipeline.sandbox.credentials import Credentials
from nsn_pipeline.sandbox.data.seeding import Seeded, Stores
from nsn_pipeline.sandbox.netsuite.app import create_app as create_netsuite
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions, TbaCredentials
from nsn_pipeline.sandbox.netsuite.store import Store as NetSuiteStore
from nsn_pipeline.sandbox.servicenow.app import create_app as create_servicenow
from nsn_pipeline.sandbox.servicenow.options import ServiceNowOptions, User

# Features a single-entity account lacks; "multicurrency" may be switched off besides.
_SINGLE_ENTITY = frozenset({"oneworld", "multibook"})


@dataclass(frozen=True, slots=True)
class Systems:
    stores: Stores
    credentials: Credentials
    seeded: Seeded
    netsuite_url: str
    servicenow_url: str

    def apps(
        self,
        netsuite: Mapping[str, Any],
        servicenow: Mapping[str, Any],
        closing: ExitStack,
        *,
        clock: Callable[[], float] = time.time,
    ) -> tuple[ASGIApp, ASGIApp]:
        """Both applications, with the sandbox's side door; the mappings change their options."""
        token = self.credentials.secrets.admin_token
        account = create_netsuite(
            self.stores.netsuite, replace(self._netsuite_options(), **netsuite), clock=clock
        )
        instance = create_servicenow(
            self.stores.servicenow, replace(self._servicenow_options(), **servicenow), clock=clock
        )
        store: NetSuiteStore = account.state.store
        closing.callback(store.close)  # ServiceNow's store closes with its application
        return (
            SideDoor(account, NetSuiteAdmin(store, token).app()),
            SideDoor(instance, ServiceNowAdmin(instance.state.instance, token).app()),
        )

    def _netsuite_options(self) -> NetSuiteOptions:
        secrets = self.credentials.secrets
        single = self.seeded.request.get("shape") == "single"
        return NetSuiteOptions(
            account_id=secrets.netsuite_account_id,
            public_base_url=self.netsuite_url,
            client_id=secrets.netsuite_client_id,
            certificate_id=secrets.netsuite_certificate_id,
            certificate=secrets.netsuite_certificate,
            tba=(
                TbaCredentials(
                    secrets.netsuite_consumer_key,
                    secrets.netsuite_consumer_secret,
                    secrets.netsuite_token_id,
                    secrets.netsuite_token_secret,
                ),
            ),
            time_zone=self.seeded.time_zone,
            disabled_features=_SINGLE_ENTITY if single else frozenset(),
        )

    def _servicenow_options(self) -> ServiceNowOptions:
        secrets = self.credentials.secrets
        user = User(secrets.servicenow_username, secrets.servicenow_password, ("admin",))
        return ServiceNowOptions(
            base_url=self.servicenow_url,
            client_id=secrets.servicenow_client_id,
            client_secret=secrets.servicenow_client_secret,
            oauth_user=user.user_name,
            users=(user,),
        )

    def describe(self, servicenow: Mapping[str, Any]) -> dict[str, Any]:
        """The content of `sandbox.json`; the mapping is the one given to `apps`."""
        secrets = self.credentials.secrets
        options = replace(self._servicenow_options(), **servicenow)
        environment = {
            "NETSUITE_ACCOUNT_ID": secrets.netsuite_account_id,
            "NETSUITE_BASE_URL": self.netsuite_url,
            "NETSUITE_CLIENT_ID": secrets.netsuite_client_id,
            "NETSUITE_CERTIFICATE_ID": secrets.netsuite_certificate_id,
            "NETSUITE_PRIVATE_KEY": secrets.netsuite_private_key,
            "SERVICENOW_INSTANCE": secrets.servicenow_instance,
            "SERVICENOW_BASE_URL": self.servicenow_url,
            "SERVICENOW_CLIENT_ID": secrets.servicenow_client_id,
            "SERVICENOW_CLIENT_SECRET": secrets.servicenow_client_secret,
            "SERVICENOW_CURRENCY": options.user_currency,
            "NSN_CA_BUNDLE": str(self.credentials.ca_bundle),
            "NSN_TIMEZONE": self.seeded.time_zone,
        }
        if self.seeded.first_day is not None:
            environment["NSN_START_DATE"] = self.seeded.first_day
        return {
            "pid": os.getpid(),
            "ca_bundle": str(self.credentials.ca_bundle),
            "netsuite": {
                "base_url": self.netsuite_url,
                "account_id": secrets.netsuite_account_id,
                "client_id": secrets.netsuite_client_id,
                "certificate_id": secrets.netsuite_certificate_id,
                "private_key": secrets.netsuite_private_key,
                "consumer_key": secrets.netsuite_consumer_key,
                "consumer_secret": secrets.netsuite_consumer_secret,
                "token_id": secrets.netsuite_token_id,
                "token_secret": secrets.netsuite_token_secret,
            },
            "servicenow": {
                "base_url": self.servicenow_url,
                "instance": secrets.servicenow_instance,
                "client_id": secrets.servicenow_client_id,
                "client_secret": secrets.servicenow_client_secret,
                "username": secrets.servicenow_username,
                "password": secrets.servicenow_password,
            },
            "environment": environment,
            "data": {
                "first_day": self.seeded.first_day,
                "last_day": self.seeded.last_day,
                "seeded": self.seeded.request,
            },
            "admin_token": secrets.admin_token,
        }
