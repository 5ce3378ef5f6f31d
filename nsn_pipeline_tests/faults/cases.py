"""Seeded faults: one thing wrong each, what `nsn doctor` must call it and what it must advise."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from nsn_pipeline.sandbox.netsuite.app import QUERY_PATH
from nsn_pipeline.sandbox.netsuite.options import Fault as NetSuiteFault
from nsn_pipeline.sandbox.netsuite.options import RequestInfo as NetSuiteRequest
from nsn_pipeline.sandbox.netsuite.options import TbaCredentials
from nsn_pipeline.sandbox.servicenow.options import Fault, RateLimitRule, RequestInfo, User
from nsn_pipeline.state.connection import connect
from nsn_pipeline_tests.faults.healthy import (
    CERTIFICATE_ID,
    Case,
    World,
    certificate_of,
    changed,
    elliptic_key,
    other_key,
    pem,
    rsa_key,
)

FAIL, WARN, UNVERIFIED = "fail", "warn", "unverified"
KEYS = TbaCredentials("consumer", "consumer-secret", "token", "token-secret")
TBA = {
    "NETSUITE_AUTH": "tba",
    "NETSUITE_CONSUMER_KEY": "consumer",
    "NETSUITE_CONSUMER_SECRET": "consumer-secret",
    "NETSUITE_TOKEN_ID": "token",
    "NETSUITE_TOKEN_SECRET": "token-secret",
}
BASIC = {"SERVICENOW_AUTH": "basic", "SERVICENOW_USERNAME": "nsn.integration"}


@dataclass(frozen=True, slots=True)
class Seeded:
    """A fault by the sentence that describes it; `case` builds it when its test runs."""

    name: str
    case: Callable[[], Case]
    finding: str
    advice: str  # words of the remedy
    status: str = FAIL
    also: Mapping[str, str] = field(default_factory=dict[str, str])  # where two things are wrong
    among: int = 0  # so many causes get this very answer: they are named together


@dataclass(frozen=True, slots=True)
class Healed:
    """What goes wrong under way and is put right without a word; `case` builds it."""

    name: str
    case: Callable[[], Case]
    cure: str


def env(**variables: str) -> Callable[[], Case]:
    return lambda: Case(environment=variables)


def netsuite(**options: Any) -> Callable[[], Case]:
    return lambda: Case(netsuite=options)


def servicenow(**options: Any) -> Callable[[], Case]:
    return lambda: Case(servicenow=options)


def clock(ahead_s: float) -> Callable[[], Case]:
    return lambda: Case(clock_ahead_s=ahead_s)


def prepared(prepare: Callable[[World], None], **variables: str) -> Callable[[], Case]:
    return lambda: Case(prepare=prepare, environment=variables)


def column(table: str, before: str, after: str) -> Callable[[], Case]:
    return lambda: Case(servicenow={"extra_tables": (changed(table, before, after),)})


def key(make: Callable[[], Any]) -> Callable[[], Case]:
    return lambda: Case(environment={"NETSUITE_PRIVATE_KEY": pem(make())})


def short_rsa(*, least: int) -> Case:
    private = rsa_key(2048)
    return Case(
        netsuite={"certificate": certificate_of(private), "minimum_rsa_bits": least},
        environment={"NETSUITE_PRIVATE_KEY": pem(private)},
    )


def short_and_wrong_id() -> Case:
    case = short_rsa(least=2048)
    return replace(case, environment={**case.environment, "NETSUITE_CERTIFICATE_ID": "other"})


def short_and_wrong_certificate() -> Case:
    case = short_rsa(least=2048)
    return replace(case, netsuite={"certificate": certificate_of(rsa_key(3072))})


def open_key_file(world: World) -> None:
    path = world.directory / "key.pem"
    path.write_text(world.environment.pop("NETSUITE_PRIVATE_KEY"))
    path.chmod(0o644)
    world.environment["NETSUITE_PRIVATE_KEY_PATH"] = str(path)


def own_copy(key_of: Callable[[], Any], *, days: int) -> Callable[[], Case]:
    def prepare(world: World) -> None:
        path = world.directory / "certificate.pem"
        path.write_text(certificate_of(key_of(), days=days))
        world.environment["NETSUITE_CERTIFICATE_PATH"] = str(path)

    return prepared(prepare)


def wrong_system(world: World) -> None:
    world.environment["NETSUITE_BASE_URL"] = world.environment["SERVICENOW_BASE_URL"]


def refuse_queries(info: NetSuiteRequest) -> NetSuiteFault | None:
    return NetSuiteFault(status=401) if info.path == QUERY_PATH else None


def unavailable(info: RequestInfo) -> Fault | None:
    return Fault(status=503, body=b"<html>upgrading</html>", content_type="text/html")


def forbidden(detail: str, message: str = "User Not Authorized") -> Fault:
    said = {"error": {"message": message, "detail": detail}, "status": "failure"}
    return Fault(status=403, body=json.dumps(said).encode())


API_LEVEL = forbidden("Failed API level ACL Validation")
NO_RIGHTS = forbidden("Field(s) present in the query do not have permission to be read",
                      "Insufficient rights to query records")  # fmt: skip


def close_metadata(info: RequestInfo) -> Fault | None:
    return API_LEVEL if "/ui/meta/" in info.path else None


def close_tables(info: RequestInfo) -> Fault | None:
    return API_LEVEL if "/now/table/" in info.path else None


def close_own_tables(info: RequestInfo) -> Fault | None:
    own = "/now/table/" in info.path and "/now/table/sys_" not in info.path
    return NO_RIGHTS if own else None


NO_PARENTS = {"sys_db_object": frozenset({"super_class", "super_class.name"})}


def tba(**changes: str) -> Callable[[], Case]:
    return lambda: Case(netsuite={"tba": (KEYS,)}, environment={**TBA, **changes})


def basic(**changes: Any) -> Callable[[], Case]:
    environment = {**BASIC, "SERVICENOW_PASSWORD": "nsn-password"}
    return lambda: Case(servicenow={"basic_auth": True, **changes}, environment=environment)


def old_signature() -> Case:
    """All is right but the signature: PKCS#1 v1.5 instead of PSS, by the same key."""
    private = rsa_key(3072)

    def prepare(world: World) -> None:
        patch = world.closing.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("nsn_pipeline.clients.grants._pss_algorithm", lambda _pem: "RS256")

    return Case(
        netsuite={"certificate": certificate_of(private)},
        environment={"NETSUITE_PRIVATE_KEY": pem(private)},
        prepare=prepare,
    )


def expired_everywhere(world: World) -> None:
    own_copy(elliptic_key, days=-2)().prepare(world)  # pyright: ignore[reportOptionalCall]


@dataclass(slots=True)
class UnderWay:
    """Something happens at the system's `number`-th call with a token, and now and then after."""

    happens: Callable[[World], object]
    system: str
    number: int = 9
    happened: int = 0

    def __call__(self, world: World) -> None:
        calls = [0]

        def hook(info: Any) -> None:
            if getattr(info, "batch_item", None) is None and info.headers.get("authorization"):
                calls[0] += 1
                if calls[0] % 40 == self.number:
                    self.happened += 1
                    self.happens(world)

        if self.system == "netsuite":
            world.netsuite.state.netsuite.fault_hook = hook
        else:
            world.servicenow.state.gateway.instance.options.fault_hook = hook


def netsuite_tokens_end(world: World) -> None:
    world.netsuite.state.tokens.expire_all()


def servicenow_tokens_end(world: World) -> None:
    world.servicenow.state.gateway.authority.expire_all()


def mapping_revoked(world: World) -> None:
    tokens = world.netsuite.state.tokens
    tokens.revoke_all()
    tokens.options = replace(tokens.options, revoked_certificates=frozenset({CERTIFICATE_ID}))


def secret_replaced(world: World) -> None:
    world.servicenow.state.gateway.instance.options.client_secret = "a-new-one"
    servicenow_tokens_end(world)


def two_of_an_account(world: World) -> None:
    rows = [{"account_number": "6000", "account_name": name} for name in ("Hosting", "Hotels")]
    world.servicenow.state.store.insert("itfm_gl_accounts", rows)


def hidden_email(world: World) -> None:
    world.servicenow.state.store.insert("core_company", [{"name": "Acme", "u_netsuite_id": "1"}])
    world.servicenow.state.instance.options.hidden_columns = {
        "core_company": frozenset({"u_email"})
    }


def evicting_server(world: World) -> None:
    home = world.directory / "home"
    server = world.closing.enter_context(connect(None, home))
    server.client.config_set("maxmemory-policy", "allkeys-lru")
    world.environment["NSN_HOME"] = str(home)


def unfit_key_file(world: World) -> None:
    path = world.directory / "home" / "keys" / "cache.key"
    world.environment["NSN_HOME"] = str(world.directory / "home")
    world.closing.enter_context(connect(None, world.directory / "home"))
    path.parent.mkdir(mode=0o700)
    path.write_bytes(Fernet.generate_key())
    path.chmod(0o640)


def open_master_key_file(world: World) -> None:
    path = world.directory / "master.key"
    path.write_bytes(Fernet.generate_key())
    path.chmod(0o644)
    world.environment["NSN_MASTER_KEY_FILE"] = str(path)


def user(**changes: Any) -> tuple[User, ...]:
    return (User("nsn.integration", "nsn-password", **{"roles": ("admin",), **changes}),)


SETTINGS = (
    Seeded("A variable is misspelt", env(NSN_TIMZONE="UTC"), "settings.variable.NSN_TIMZONE",
           "Did you mean NSN_TIMEZONE", WARN),
    Seeded("A variable's first word is misspelt", env(SERVICE_NOW_INSTANCE="acme"),
           "settings.variable.SERVICE_NOW_INSTANCE", "Did you mean SERVICENOW_INSTANCE", WARN),
    Seeded("The time zone is none", env(NSN_TIMEZONE="Mars/Olympus"), "settings.values",
           "Correct the variables named here"),
    Seeded("A secret is not set", env(SERVICENOW_CLIENT_SECRET=""), "settings.values",
           "Correct the variables named here"),
    Seeded("The CA bundle is not there", env(NSN_CA_BUNDLE="/nowhere/ca.pem"), "settings.values",
           "NSN_CA_BUNDLE"),
    Seeded("The profile does not exist", env(NSN_PROFILE="seeds"), "settings.profile",
           "NSN_PROFILE"),
    Seeded("Redis does not answer", env(REDIS_URL="redis://127.0.0.1:1/0"), "redis.reachable",
           "the state server runs and can be reached"),
    Seeded("Redis may evict what it is given", prepared(evicting_server), "redis.eviction",
           "Set maxmemory-policy to noeviction", WARN),
    Seeded("The master key is no key", env(NSN_MASTER_KEY="oops"), "settings.master_key",
           "32 bytes in URL-safe base64"),
    Seeded("The master key's file is not there", env(NSN_MASTER_KEY_FILE="/nowhere/master.key"),
           "settings.master_key", "NSN_MASTER_KEY_FILE"),
    Seeded("Others can read the master key's file", prepared(open_master_key_file),
           "settings.master_key", "chmod 600"),
    Seeded("Others can read the key of the token cache", prepared(unfit_key_file),
           "settings.master_key", "chmod 600"),
)  # fmt: skip

NETSUITE_LOGIN = (
    Seeded("The account id lacks its sandbox number", env(NETSUITE_ACCOUNT_ID="1234567_SB"),
           "netsuite.account", "Company Information"),
    Seeded("The account id has the wrong suffix", env(NETSUITE_ACCOUNT_ID="1234567_SB2"),
           "netsuite.host", "name the same account"),
    Seeded("No host answers", env(NETSUITE_BASE_URL="http://127.0.0.1:1"), "netsuite.host",
           "NETSUITE_BASE_URL; check proxy"),
    Seeded("The account id is a host that all accounts share",
           env(NETSUITE_ACCOUNT_ID="system.netsuite.com"), "netsuite.account",
           "Company Information"),
    Seeded("The base URL is a host that all accounts share",
           env(NETSUITE_BASE_URL="https://rest.netsuite.com"), "netsuite.host",
           "name the same account"),
    Seeded("The base URL is that of another sandbox",
           env(NETSUITE_BASE_URL="https://1234567-sb2.suitetalk.api.netsuite.com"),
           "netsuite.host", "name the same account"),
    Seeded("The base URL is not https", env(NETSUITE_BASE_URL="http://netsuite.example"),
           "netsuite.host", "https://<host>"),
    Seeded("Another system answers at NetSuite's address", prepared(wrong_system),
           "netsuite.host", "Company URLs"),
    Seeded("The clock is 10 minutes ahead", clock(600), "netsuite.clock", "NTP"),
    Seeded("The clock is 10 minutes behind: assertions have expired", clock(-600),
           "netsuite.clock", "NTP"),
    Seeded("The clock drifts by 20 seconds", clock(-20), "netsuite.clock", "NTP", WARN),
    Seeded("The private key is garbled", env(NETSUITE_PRIVATE_KEY="-----BEGIN"), "netsuite.key",
           "unencrypted PEM"),
    Seeded("The private key is a JWK made for RS256",
           env(NETSUITE_PRIVATE_KEY='{"kty": "RSA", "alg": "RS256", "n": "AQAB", "d": "AQAB"}'),
           "netsuite.key", "unencrypted PEM"),
    Seeded("The certificate was given for the private key",
           lambda: Case(environment={"NETSUITE_PRIVATE_KEY": certificate_of(elliptic_key())}),
           "netsuite.key", "unencrypted PEM"),
    Seeded("The private key is neither RSA nor EC", key(ed25519.Ed25519PrivateKey.generate),
           "netsuite.key", "RSA key of 3072"),
    Seeded("The key is on a curve NetSuite lacks",
           key(lambda: ec.generate_private_key(ec.SECP256K1())), "netsuite.key", "P-256"),
    Seeded("The RSA key has 2048 bits and is refused", lambda: short_rsa(least=3072),
           "netsuite.key", "4096 bits"),
    Seeded("The RSA key has 2048 bits and is still taken", lambda: short_rsa(least=2048),
           "netsuite.key", "4096 bits", WARN),
    Seeded("The RSA key has 2048 bits, and the certificate id is another one's", short_and_wrong_id,
           "netsuite.key", "NETSUITE_CERTIFICATE_ID"),
    Seeded("The RSA key has 2048 bits, and NetSuite has another key's certificate",
           short_and_wrong_certificate, "netsuite.token", "upload the certificate",
           also={"netsuite.key": WARN}),
    Seeded("Others can read the private key's file", prepared(open_key_file),
           "netsuite.key_file", "chmod 600", WARN),
    Seeded("NetSuite has another key's certificate",
           lambda: Case(netsuite={"certificate": certificate_of(other_key())}),
           "netsuite.token", "upload the certificate"),
    Seeded("The client id is unknown", env(NETSUITE_CLIENT_ID="other"), "netsuite.token",
           "NETSUITE_CLIENT_ID"),
    Seeded("The certificate id is wrong", env(NETSUITE_CERTIFICATE_ID="other"), "netsuite.token",
           "NETSUITE_CERTIFICATE_ID"),
    Seeded("The certificate has expired at NetSuite",
           lambda: Case(netsuite={"certificate": certificate_of(elliptic_key(), days=-2)}),
           "netsuite.token", "neither revoked nor expired"),
    Seeded("The mapping of certificate, role and entity is revoked",
           netsuite(revoked_certificates=frozenset({CERTIFICATE_ID})),
           "netsuite.token", "map certificate, role and entity again"),
    Seeded("The certificate has expired, and so has our copy of it",
           lambda: Case(netsuite={"certificate": certificate_of(elliptic_key(), days=-2)},
                        prepare=expired_everywhere),
           "netsuite.certificate", "NETSUITE_CERTIFICATE_ID"),
    Seeded("The assertion is signed with RS256, as old integrations do", old_signature,
           "netsuite.token", "RS256 is refused"),
    Seeded("The mapping is revoked in mid-run, and with it the token",
           prepared(UnderWay(mapping_revoked, "netsuite")), "netsuite.token",
           "map certificate, role and entity again"),
    Seeded("The client credentials grant is not ticked",
           netsuite(client_credentials_enabled=False), "netsuite.token",
           "Tick 'Client Credentials (Machine to Machine) Grant'"),
    Seeded("The REST scope is not enabled", netsuite(enabled_scopes=frozenset({"restlets"})),
           "netsuite.token", "Tick the scope"),
    Seeded("Our copy of the certificate has expired", own_copy(elliptic_key, days=-2),
           "netsuite.certificate", "upload it", WARN),
    Seeded("The certificate ends in 10 days", own_copy(elliptic_key, days=10),
           "netsuite.certificate", "upload it", WARN),
    Seeded("Our copy of the certificate is another key's", own_copy(other_key, days=400),
           "netsuite.certificate", "from your private key", WARN),
    Seeded("The role may not use REST web services", netsuite(fault_hook=refuse_queries),
           "netsuite.login", "Log in using OAuth 2.0 Access Tokens"),
    *(Seeded(name, tba(**{variable: "wrong"}), "netsuite.login", variable,
             also={"netsuite.auth": WARN}, among=11)
      for name, variable in (
          ("Token-based: the consumer secret is wrong", "NETSUITE_CONSUMER_SECRET"),
          ("Token-based: the token secret is wrong", "NETSUITE_TOKEN_SECRET"),
          ("Token-based: the consumer key is unknown", "NETSUITE_CONSUMER_KEY"),
          ("Token-based: the token went with a sandbox refresh", "NETSUITE_TOKEN_ID"))),
)  # fmt: skip

NETSUITE_DATA = (
    Seeded("The role may not see vendors", netsuite(hidden_tables=frozenset({"vendor"})),
           "netsuite.table.vendor", "Lists > Vendors"),
    Seeded("The role may not see items", netsuite(hidden_tables=frozenset({"item"})),
           "netsuite.table.item", "Lists > Items", WARN),
    Seeded("The role may not see accounting books",
           netsuite(hidden_tables=frozenset({"accountingbook"})),
           "netsuite.table.accountingbook", "Accounting Book", WARN),
    Seeded("The role may not see departments", netsuite(hidden_tables=frozenset({"department"})),
           "netsuite.table.department", "Lists > Departments", WARN),
    Seeded("Departments is not enabled", netsuite(disabled_features=frozenset({"departments"})),
           "netsuite.feature.departments", "Enable Features", WARN),
    Seeded("Multiple Currencies is off and no base currency is set",
           netsuite(disabled_features=frozenset({"multicurrency"})),
           "netsuite.feature.multiple_currencies", "NSN_BASE_CURRENCY"),
    Seeded("A column that is needed is hidden",
           netsuite(hidden_columns=frozenset({"transaction.entity"})),
           "netsuite.column.transaction.entity", "(View)"),
    Seeded("A column that can be spared is hidden",
           netsuite(hidden_columns=frozenset({"vendor.email"})),
           "netsuite.column.vendor.email", "(View)", WARN),
    Seeded("A column makes NetSuite fail",
           netsuite(crashing_columns=frozenset({"vendor.legalname"})),
           "netsuite.column.vendor.legalname", "(View)", WARN),
    Seeded("The account allows fewer requests than configured",
           netsuite(is_administrator=True, concurrency_limit=3), "netsuite.concurrency",
           "NETSUITE_CONCURRENCY to 3", WARN),
)  # fmt: skip

SERVICENOW_LOGIN = (
    Seeded("The instance name is garbage", env(SERVICENOW_INSTANCE="acme corp!"),
           "servicenow.instance", "SERVICENOW_INSTANCE"),
    Seeded("The instance does not answer", env(SERVICENOW_BASE_URL="http://127.0.0.1:1"),
           "servicenow.host", "SERVICENOW_BASE_URL"),
    Seeded("The base URL is that of another instance",
           env(SERVICENOW_BASE_URL="https://acmedev.service-now.com"), "servicenow.host",
           "name the same instance"),
    Seeded("The instance's address cannot be read", env(SERVICENOW_BASE_URL="https://[acme"),
           "servicenow.host", "SERVICENOW_BASE_URL"),
    Seeded("The instance is hibernating", servicenow(hibernating=True), "servicenow.host",
           "developer.servicenow.com"),
    Seeded("The instance is being upgraded", servicenow(fault_hook=unavailable),
           "servicenow.host", "wait"),
    Seeded("The client secret is wrong", env(SERVICENOW_CLIENT_SECRET="wrong"),
           "servicenow.token", "SERVICENOW_CLIENT_SECRET", among=4),
    Seeded("The client secret is replaced in mid-run, and the token ends",
           prepared(UnderWay(secret_replaced, "servicenow")), "servicenow.token",
           "SERVICENOW_CLIENT_SECRET", among=4),
    Seeded("The client credentials property is off", servicenow(client_credentials_grant=False),
           "servicenow.token", "glide.oauth.inbound.client.credential.grant_type.enabled",
           among=4),
    Seeded("No OAuth Application User is set", servicenow(oauth_user=""), "servicenow.token",
           "set the OAuth Application User", among=4),
    Seeded("The application user is locked out", servicenow(users=user(locked_out=True)),
           "servicenow.token", "unlock that user", among=4),
    Seeded("The application user is inactive", servicenow(users=user(active=False)),
           "servicenow.token", "unlock that user", among=4),
    Seeded("Basic authentication is denied",
           basic(basic_auth=False), "servicenow.login", "SERVICENOW_AUTH=client_credentials",
           among=3),
    Seeded("The Basic password is wrong", env(**BASIC, SERVICENOW_PASSWORD="wrong"),
           "servicenow.login", "SERVICENOW_PASSWORD", among=3),
    Seeded("The Basic user is locked out",
           basic(users=user(locked_out=True)), "servicenow.login", "not locked out",
           among=3),
    Seeded("An endpoint ACL keeps the user out",
           servicenow(endpoint_acl=True, users=user(roles=("itil",))),
           "servicenow.endpoint_acl", "snc_platform_rest_api_access"),
    Seeded("An endpoint ACL covers the Table API only", servicenow(fault_hook=close_tables),
           "servicenow.endpoint_acl", "snc_platform_rest_api_access"),
    Seeded("The user may read none of the tables", servicenow(fault_hook=close_own_tables),
           "servicenow.tables", "docs/connect-servicenow.md"),
    Seeded("The user lives in another time zone", servicenow(user_time_zone="Europe/Berlin"),
           "servicenow.time_zone", "time zone to GMT", WARN),
    Seeded("The user reads a language with a decimal comma",
           servicenow(user_language="fr", user_country=""), "servicenow.locale", "English", WARN),
    Seeded("The user's country writes a decimal comma", servicenow(user_country="DE"),
           "servicenow.locale", "en_US", WARN),
    Seeded("A rate rule is tight", servicenow(rate_limit=RateLimitRule(1000)),
           "servicenow.rate", "Rate Limit Rules", WARN),
)  # fmt: skip

SERVICENOW_DATA = (
    Seeded("A plug-in is not active", servicenow(absent_tables=frozenset({"sn_apo_invoice"})),
           "servicenow.table.sn_apo_invoice", "Activate the plug-in"),
    Seeded("A table of ours has not been created",
           servicenow(absent_tables=frozenset({"u_netsuite_gl_posting"})),
           "servicenow.table.u_netsuite_gl_posting", "Create the table"),
    Seeded("The user may not read a table",
           servicenow(denied={"proc_po": frozenset({"read"})}), "servicenow.table.proc_po",
           "Allow access to this table via web services"),
    Seeded("A column has not been created", column("core_company", "u_email email", ""),
           "servicenow.column.core_company.u_email", "Add the column"),
    Seeded("The key column has not been created",
           column("proc_po", "u_netsuite_id string(40) unique | NetSuite ID", ""),
           "servicenow.column.proc_po.u_netsuite_id", "Add the column"),
    Seeded("A column is read-only",
           column("core_company", "u_legal_name string(255)",
                  "u_legal_name string(255) read_only"),
           "servicenow.column.core_company.u_legal_name", "Clear Read only"),
    Seeded("A column is too short",
           column("core_company", "u_legal_name string(255)", "u_legal_name string(40)"),
           "servicenow.column.core_company.u_legal_name", "max length"),
    Seeded("A column has the wrong type",
           column("proc_po", "u_total_amount decimal(4)", "u_total_amount string(40)"),
           "servicenow.column.proc_po.u_total_amount", "type Decimal"),
    Seeded("A reference points to another table",
           column("u_netsuite_gl_posting", "u_supplier reference(core_company)",
                  "u_supplier reference(sn_fin_supplier)"),
           "servicenow.column.u_netsuite_gl_posting.u_supplier", "reference to core_company"),
    Seeded("The key has no unique index",
           column("sn_apo_invoice", "u_netsuite_id string(40) unique",
                  "u_netsuite_id string(40)"),
           "servicenow.column.sn_apo_invoice.u_netsuite_id", "Tick Unique"),
    Seeded("An access rule hides a column", prepared(hidden_email),
           "servicenow.readable.core_company", "field ACLs"),
    Seeded("A GL account exists twice", prepared(two_of_an_account),
           "servicenow.duplicates.itfm_gl_accounts", "Merge or delete", WARN),
    Seeded("The dictionary hides which class a table extends",
           servicenow(hidden_columns=NO_PARENTS), "servicenow.dictionary",
           "personalize_dictionary", UNVERIFIED),
    Seeded("The dictionary hides which column a row is about",
           servicenow(hidden_columns={"sys_dictionary": frozenset({"element"})}),
           "servicenow.dictionary", "personalize_dictionary", UNVERIFIED),
    Seeded("The dictionary is closed", servicenow(dictionary_access="forbid"),
           "servicenow.dictionary", "personalize_dictionary", UNVERIFIED),
    Seeded("The dictionary looks empty", servicenow(dictionary_access="empty"),
           "servicenow.dictionary", "personalize_dictionary", UNVERIFIED),
    Seeded("The dictionary and the UI's metadata are closed",
           servicenow(dictionary_access="forbid", fault_hook=close_metadata),
           "servicenow.dictionary", "personalize_dictionary", UNVERIFIED),
)  # fmt: skip

HEALED = (
    Healed("A NetSuite token ends in mid-run, or is revoked alone",
           prepared(UnderWay(netsuite_tokens_end, "netsuite")),
           "renewed once, and the call repeated once"),
    Healed("A ServiceNow token ends in mid-run, or is revoked alone",
           prepared(UnderWay(servicenow_tokens_end, "servicenow")),
           "renewed once, and the call repeated once"),
)  # fmt: skip

GROUPS = {
    "Settings and state": SETTINGS,
    "NetSuite: getting in": NETSUITE_LOGIN,
    "NetSuite: tables and columns": NETSUITE_DATA,
    "ServiceNow: getting in": SERVICENOW_LOGIN,
    "ServiceNow: tables and columns": SERVICENOW_DATA,
}
FAULTS = tuple(seeded for group in GROUPS.values() for seeded in group)
