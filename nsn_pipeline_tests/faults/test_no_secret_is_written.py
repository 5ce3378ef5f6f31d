"""No credential and no token is written anywhere, whatever goes wrong and however loud the logs.

The job runs as a process of its own, against simulators whose every secret is a known text, with
all Python loggers at DEBUG on the terminal and in Dagster's event log. Servers echo the credentials
they are sent, cut connections, refuse, time out after a commit. Then every byte is searched.
"""

import base64
import json
import re
import secrets as random_secrets
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, unquote

import pytest
import redis
from cryptography.fernet import Fernet

from nsn_pipeline.clients.grants import AssertionSigner
from nsn_pipeline.clients.tokens import Token
from nsn_pipeline.connections import Connections
from nsn_pipeline.credentials.master_key import find_master_key
from nsn_pipeline.sandbox import systems
from nsn_pipeline.sandbox.credentials import load_or_make, write_private
from nsn_pipeline.sandbox.netsuite.app import QUERY_PATH
from nsn_pipeline.sandbox.netsuite.oauth2 import TOKEN_PATH
from nsn_pipeline.sandbox.netsuite.options import Fault as NetSuiteFault
from nsn_pipeline.sandbox.netsuite.options import RequestInfo as NetSuiteRequest
from nsn_pipeline.sandbox.servicenow.options import Fault, RequestInfo
from nsn_pipeline.settings import load_settings
from nsn_pipeline.state.server_binary import server_binary
from nsn_pipeline_tests.support.company import served
from nsn_pipeline_tests.support.leaks import Leak, Scanner
from nsn_pipeline_tests.support.loud_nsn import CRASH, CRASH_AT, LEAK
from nsn_pipeline_tests.support.project import environment, project_copy
from nsn_pipeline_tests.unit.state.processes import eventually

pytestmark = pytest.mark.slow

DAY = "2026-03-03"
SYNC = ("sync", "--from", DAY, "--to", DAY)
CHARTS = ("--only", "gl_account")
BILLS = ("--only", "vendor_bill")  # with the orders and vendors they name
ALL_LOGS = """
python_logs:
  managed_python_loggers: [root]
  python_log_level: DEBUG
"""
NOT_SECRET = {"netsuite_account_id", "netsuite_certificate", "servicenow_instance",
              "servicenow_username"}  # fmt: skip
NOW = {"Retry-After": "0"}
SHARED = ("NSN_CA_BUNDLE", "NSN_TIMEZONE", "NSN_START_DATE")
FAULTS = 16
KEY = "netsuite_private_key"


@dataclass(slots=True)
class Adversary:
    """Both simulators' ill will: what went wrong so far, and every credential they were sent."""

    secrets: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    queries: int = 0
    calls: int = 0
    is_angry: bool = True
    apps: list[Any] = field(default_factory=list)
    last_login: str = ""
    answers_all: int = 0  # with this status, and with what it was sent, where it is not 0
    echoes: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])

    def once(self, what: str, *, when: bool = True) -> bool:
        if not self.is_angry or not when or what in self.done:
            return False
        self.done.add(what)
        return True

    def keep(self, kind: str, credential: str) -> None:
        known = self.secrets.values()
        if credential and credential not in known:
            self.secrets[f"{kind} {len(self.secrets)}"] = credential

    def netsuite(self, request: NetSuiteRequest) -> NetSuiteFault | None:
        login = request.headers.get("authorization", "")
        if login.startswith("Bearer "):
            self.keep("NetSuite token", login.removeprefix("Bearer "))
        assertion = ""
        if request.path == TOKEN_PATH:
            assertion = parse_qs(request.body.decode())["client_assertion"][0]
            self.keep("assertion", assertion)
        if self.answers_all and (assertion or login):
            sent = [assertion] if assertion else self.parts_of(login)
            said = self.quoted("NetSuite", sent, request.body.decode())
            details = [{"detail": said, "o:errorCode": "INVALID_LOGIN"}]
            by_token = {"error": "invalid_client", "error_description": said}
            body = by_token if assertion else {"o:errorDetails": details}
            return NetSuiteFault(status=self.answers_all, body=body, headers=NOW)
        if request.path == QUERY_PATH and login.startswith("Bearer "):
            self.queries += 1
        if login.startswith("OAuth "):
            return self.netsuite_by_tba(login)
        if self.once("NetSuite: tokens expire", when=self.queries == 2):
            self.apps[0].state.tokens.expire_all()
        echo = {"status": 500, "o:errorDetails": [{"detail": login, "o:errorCode": login}]}
        refused_assertion = {"error": "server_error", "error_description": assertion}
        return self.first_due(
            ("NetSuite: token endpoint echoes", bool(assertion),
             NetSuiteFault(status=500, body=refused_assertion)),
            ("NetSuite: 429", self.queries > 4, NetSuiteFault(status=429, headers=NOW)),
            ("NetSuite: cut short", self.queries > 7, NetSuiteFault(truncate=True)),
            ("NetSuite: 500 that echoes", self.queries > 9, NetSuiteFault(status=500, body=echo)),
            ("NetSuite: 401 that echoes", self.queries > 11, NetSuiteFault(status=401, body=echo)),
        )  # fmt: skip

    def netsuite_by_tba(self, login: str) -> NetSuiteFault | None:
        """A proxy quotes what it makes of the header; doctor asks twice, and shows the words."""
        parts = self.parts_of(login)
        said = f"bad login {' '.join(parts)}"
        body = {"status": 500, "o:errorDetails": [{"detail": said, "o:errorCode": login}]}
        fault = NetSuiteFault(status=500, body=body)
        chosen = self.first_due(*((f"NetSuite: TBA echoed, {n}", True, fault) for n in (1, 2)))
        if chosen is not None:
            for number, part in enumerate(parts):
                self.keep(f"part {number} of a signed request", part)
        return chosen

    @staticmethod
    def parts_of(login: str) -> list[str]:
        """What of a signed request is secret, or as good as."""
        fields = dict(re.findall(r'oauth_(\w+)="([^"]*)"', login))
        sent = [fields["signature"], fields["consumer_key"], fields["token"], fields["nonce"]]
        return [*sent, unquote(fields["signature"])]

    def quoted(self, system: str, sent: list[str], form: str) -> str:
        """What it was sent, in every dress that a gateway may put it in."""
        self.echoes[system, self.answers_all] += 1
        for text in sent:
            self.keep("sent", text)
        dressed = [
            dress
            for text in sent
            for dress in (
                text, quote(text, safe=""), quote_plus(text), escape(text),
                json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1],
            )
        ]  # fmt: skip
        return f"{system} was sent {' '.join(dressed)} in {form}"

    def servicenow(self, request: RequestInfo) -> Fault | None:
        if request.batch_item is not None:
            is_invoice = request.method == "POST" and request.path.endswith("/sn_apo_invoice")
            return self.first_due(("ServiceNow: refused", is_invoice, self._refusal()))
        is_token = request.path == "/oauth_token.do"
        self.last_login = request.headers.get("authorization", "")
        if self.last_login.startswith("Bearer "):
            self.keep("ServiceNow token", self.last_login.removeprefix("Bearer "))
        if self.answers_all and (is_token or self.last_login):
            return self.servicenow_quotes(request)
        self.calls += not is_token
        if self.once("ServiceNow: tokens expire", when=self.calls == 2):
            self.apps[1].state.gateway.authority.expire_all()
        form = json.dumps({"error": request.body.decode(errors="replace")})
        echo = json.dumps({"error": {"message": self.last_login, "detail": self.last_login}})
        if self.last_login.startswith("Basic "):
            coded = self.last_login.removeprefix("Basic ")
            said = f"bad login {base64.b64decode(coded).decode()} {coded}"
            self.keep("Basic login", coded)
            refusal = Fault(400, body=json.dumps({"error": {"message": said}}).encode())
            return self.first_due(("ServiceNow: Basic echoed", True, refusal))
        is_batch, is_read = request.path.endswith("/batch"), request.method == "GET"
        return self.first_due(
            ("ServiceNow: token endpoint echoes", is_token, Fault(503, body=form.encode())),
            ("ServiceNow: 429", self.calls > 4, Fault(429, headers=NOW)),
            ("ServiceNow: no answer", self.calls > 6 and is_read, Fault(answer="drop")),
            ("ServiceNow: time-out after commit", is_batch, Fault(work="commit", answer="drop")),
            ("ServiceNow: 401 that echoes", self.calls > 12, Fault(401, body=echo.encode())),
        )

    def servicenow_quotes(self, request: RequestInfo) -> Fault:
        form = request.body.decode(errors="replace")
        sent = parse_qs(form).get("client_secret", [])
        if self.last_login:
            coded = self.last_login.removeprefix("Basic ")
            login = base64.b64decode(coded).decode()
            sent = [coded, login, login.partition(":")[2]]
        said = self.quoted("ServiceNow", sent, form)
        by_token = {"error": "server_error", "error_description": said}
        body = {"error": {"message": said, "detail": said}} if self.last_login else by_token
        return Fault(self.answers_all, body=json.dumps(body).encode(), headers=NOW)

    def first_due(self, *plans: tuple[str, bool, Any]) -> Any:
        return next((fault for what, due, fault in plans if self.once(what, when=due)), None)

    def _refusal(self) -> Fault:
        detail = f"Operation aborted by Business Rule 'no^{self.last_login}'; {self.last_login}"
        said = {"error": {"message": self.last_login, "detail": detail}, "status": "failure"}
        return Fault(403, body=json.dumps(said).encode())


@dataclass(frozen=True, slots=True)
class Told:
    """What one command printed, and how it ended."""

    code: int
    text: str


@dataclass(slots=True)
class Aftermath:
    """All that is left of all commands, and the secrets that must not be among it."""

    root: Path
    adversary: Adversary
    redis: redis.Redis
    environments: list[dict[str, str]]  # by OAuth 2.0, and by the fallbacks
    loud: Told
    echoed: Told
    crashed: Told
    others: list[Told]
    control: Told
    quoted: dict[tuple[str, int], Told]  # by login and status: jobs that came no further

    @property
    def secrets(self) -> dict[str, str]:
        return self.adversary.secrets

    def searched(self) -> tuple[set[Leak], Scanner]:
        scanner = Scanner(self.secrets)
        found = scanner.in_folders(self.root / "checkout")
        found |= scanner.in_redis(self.redis)
        for told in (self.loud, self.crashed, *self.others, *self.quoted.values()):
            found |= scanner.in_bytes(told.text.encode(), "the terminal")
        return found, scanner


def canary(name: str) -> str:
    """A secret of a shape that survives no careless encoding unchanged."""
    return f"{name}+/= %&:\"'\\ü{random_secrets.token_hex(12)}"


def plant(sandbox: Path) -> dict[str, str]:
    """Give the simulated systems secrets of ours; returns them by name."""
    made = asdict(load_or_make(sandbox / "sandbox").secrets)
    for name in ("netsuite_consumer_secret", "netsuite_token_secret", "servicenow_client_secret",
                 "servicenow_password"):  # fmt: skip
        made[name] = canary(name)
    write_private(sandbox / "sandbox" / "credentials.json", json.dumps(made))
    return made


@contextmanager
def guarded_redis(folder: Path, password: str) -> Iterator[str]:
    """A real server that asks for a password; the password is on nobody's command line."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rules = f'bind 127.0.0.1\nport {port}\ndir {folder}\nsave ""\nrequirepass {password}\n'
    server = subprocess.Popen(
        [server_binary(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdin is not None
        server.stdin.write(rules)
        server.stdin.close()
        url = f"redis://:{quote(password, safe='')}@127.0.0.1:{port}/0"
        assert eventually(lambda: answers(url))
        yield url
    finally:
        server.terminate()
        server.wait(20)


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def noisy_checkout(folder: Path) -> Path:
    """A checkout whose Dagster instance keeps every log line of every library."""
    project_copy(folder)
    with (folder / "dagster.yaml").open("a") as file:
        file.write(ALL_LOGS)
    return folder


def nsn(checkout: Path, settings: Mapping[str, str], *arguments: str, given: str = "") -> Told:
    done = subprocess.run(
        [sys.executable, "-m", "nsn_pipeline_tests.support.loud_nsn", *arguments],
        cwd=checkout,
        env={**environment(checkout / "home"), **settings},
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Told(done.returncode, f"{done.stdout}\n{done.stderr}")


@contextmanager
def served_by(adversary: Adversary, sandbox: Path) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("create_netsuite", "create_servicenow"):
            create = getattr(systems, name)

            def kept(*arguments: Any, create: Any = create, **options: Any) -> Any:
                adversary.apps.append(create(*arguments, **options))
                return adversary.apps[-1]

            patch.setattr(systems, name, kept)
        yield stack.enter_context(
            served(
                sandbox,
                netsuite={"fault_hook": adversary.netsuite},
                servicenow={"fault_hook": adversary.servicenow},
            )
        )


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    root = tmp_path_factory.mktemp("secrets")
    made = plant(root / "sandbox")
    keys = {name: Fernet.generate_key().decode() for name in ("master", "other master")}
    password = f"redis/password+{random_secrets.token_hex(12)}"
    adversary = Adversary({n: v for n, v in made.items() if n not in NOT_SECRET})
    adversary.secrets |= {**keys, "Redis password": password}
    checkout = noisy_checkout(root / "checkout")
    with (
        guarded_redis(root / "redis", password) as redis_url,
        served_by(adversary, root / "sandbox") as info,
        redis.Redis.from_url(redis_url, decode_responses=True) as client,
    ):
        systems = info["environment"]
        shared = {name: systems[name] for name in SHARED} | {"REDIS_URL": redis_url}
        mine = shared | {"NSN_MASTER_KEY": keys["master"]}
        legacy = shared | {"NSN_MASTER_KEY": keys["other master"], **legacy_login(made, info)}
        legacy["NSN_HOME"] = str(checkout / "legacy")
        others = [
            nsn(checkout, mine, "credentials", "set", system, "-", given=values)
            for system, values in to_store(made, info).items()
        ]
        loud = nsn(checkout, mine, *SYNC, *BILLS)
        echoed = nsn(checkout, legacy, "doctor")
        others.append(echoed)
        commands = [
            (checkout, mine, "credentials", "list", "--json"),
            (checkout, mine | {CRASH_AT: "/suiteql 3"}, "doctor"),
            (checkout, mine | {"REDIS_URL": redis_url.replace("password", "p"),
                               "SERVICENOW_CLIENT_SECRET": f"{password}!"}, "doctor"),
            (checkout, legacy | {CRASH_AT: "/api/now/ 4"}, *SYNC, "--only", "vendor"),
            (noisy_checkout(root / "control"), systems | {"REDIS_URL": redis_url, LEAK: "1"},
             *SYNC, "--only", "gl_account"),
        ]  # fmt: skip
        with ThreadPoolExecutor(2) as pool:
            *more, crashed, control = pool.map(lambda one: nsn(*one), commands)
        others += more
        # Where no token is kept, no clean bill and no refusal: in another database.
        fresh = {"REDIS_URL": redis_url.replace("/0", "/1")}
        quoted: dict[tuple[str, int], Told] = {}
        for status in (503, 401):
            adversary.answers_all = status
            jobs = {"OAuth": mine | fresh, "legacy": legacy | fresh}
            with ThreadPoolExecutor(2) as pool:
                told = pool.map(lambda given: nsn(checkout, given, *SYNC, *CHARTS), jobs.values())
                quoted |= {(login, status): one for login, one in zip(jobs, told, strict=True)}
        yield Aftermath(
            root,
            adversary,
            client,
            [systems | mine, legacy],
            loud,
            echoed,
            crashed,
            others,
            control,
            quoted,
        )


def to_store(made: Mapping[str, str], info: Mapping[str, Any]) -> dict[str, str]:
    """What `nsn credentials set` is given on standard input, by system."""
    fields = {
        "netsuite": ("account_id", "client_id", "certificate_id", "private_key"),
        "servicenow": ("instance", "client_id", "client_secret"),
    }
    return {
        system: json.dumps(
            {name: made[f"{system}_{name}"] for name in names}
            | {"base_url": info[system]["base_url"]}
        )
        for system, names in fields.items()
    }


def legacy_login(made: Mapping[str, str], info: Mapping[str, Any]) -> dict[str, str]:
    """Both systems by their fallback, from the environment."""
    names = ("consumer_key", "consumer_secret", "token_id", "token_secret")
    return {
        "NETSUITE_AUTH": "tba",
        "NETSUITE_ACCOUNT_ID": made["netsuite_account_id"],
        "NETSUITE_BASE_URL": info["netsuite"]["base_url"],
        **{f"NETSUITE_{name.upper()}": made[f"netsuite_{name}"] for name in names},
        "SERVICENOW_AUTH": "basic",
        "SERVICENOW_INSTANCE": made["servicenow_instance"],
        "SERVICENOW_BASE_URL": info["servicenow"]["base_url"],
        "SERVICENOW_USERNAME": made["servicenow_username"],
        "SERVICENOW_PASSWORD": made["servicenow_password"],
    }


def test_everything_went_wrong_and_the_job_still_did_its_work(aftermath: Aftermath) -> None:
    assert aftermath.loud.code == 1, aftermath.loud.text[-3000:]
    assert len(aftermath.adversary.done) == FAULTS, aftermath.adversary.done
    tokens = [name for name in aftermath.secrets if "token" in name.lower()]
    assert len(tokens) >= 4  # two lives on either side at least
    assert any("sn_apo_invoice" in line for line in aftermath.loud.text.splitlines())


def test_the_logs_were_as_loud_as_can_be(aftermath: Aftermath) -> None:
    assert "DEBUG:urllib3.connectionpool:" in aftermath.loud.text
    assert "WARNING:nsn_pipeline.clients.http:http_retry" in aftermath.loud.text
    events = [p.read_bytes() for p in (aftermath.root / "checkout").rglob("*.db")]
    assert any(b"Starting new HTTPS connection" in c for c in events), "not in Dagster's event log"


def test_a_crash_shows_where_and_never_with_what(aftermath: Aftermath) -> None:
    assert aftermath.crashed.code == 2
    assert CRASH in aftermath.crashed.text
    assert any(CRASH in told.text and "Traceback" in told.text for told in aftermath.others)


def test_no_secret_is_anywhere(aftermath: Aftermath) -> None:
    found, scanner = aftermath.searched()
    assert found == set()
    assert scanner.looked_at > 1_000_000
    assert aftermath.redis.dbsize() > 10
    assert list(aftermath.redis.scan_iter("nsn:token:*")), "tokens were shared"


def test_the_words_of_a_server_that_quotes_a_login_are_shown_without_it(
    aftermath: Aftermath,
) -> None:
    """Token-based and Basic logins have parts, and each is masked alone."""
    words = " ".join(aftermath.echoed.text.split())
    assert words.count("bad login ***") >= 2, words[-3000:]


@pytest.mark.parametrize("status", [503, 401])
@pytest.mark.parametrize("login", ["OAuth", "legacy"])
def test_a_job_is_shown_what_it_sent_only_with_stars_in_its_place(
    aftermath: Aftermath, login: str, status: int
) -> None:
    """Both token endpoints, and both fallbacks, quote what they were sent; the job ends of it."""
    told = aftermath.quoted[login, status]
    assert told.code != 0
    words = " ".join(told.text.split())
    for system in ("NetSuite", "ServiceNow"):
        assert aftermath.adversary.echoes[system, status] > 0
        assert f"{system} was sent *** ***" in words, words[-3000:]


def test_a_run_that_leaks_on_purpose_is_caught(aftermath: Aftermath) -> None:
    """The control: one log line too many, found on the terminal and in Dagster's event log."""
    assert aftermath.control.code in {0, 1}
    scanner = Scanner(aftermath.secrets)
    on_terminal = scanner.in_bytes(aftermath.control.text.encode(), "the terminal")
    in_files = scanner.in_folders(aftermath.root / "control")
    for found in (on_terminal, in_files):
        assert any(leak.secret.startswith("NetSuite token") for leak in found)
        assert any(leak.secret.startswith("ServiceNow token") for leak in found)
    assert any(leak.place.endswith(".db") for leak in in_files)


def test_nothing_that_holds_a_secret_shows_it(aftermath: Aftermath) -> None:
    scanner = Scanner(aftermath.secrets)
    for given in aftermath.environments:
        settings = load_settings(given)
        with Connections(settings, run_id="test") as connections:
            clients = (connections.netsuite, connections.servicenow)
            https = [client._http for client in clients]
            signer = AssertionSigner(
                client_id="c", certificate_id="c", private_key=aftermath.secrets[KEY]
            )
            token = Token(aftermath.secrets["Redis password"], expires_at=1)
            held: list[object] = [settings, settings.netsuite, settings.servicenow, connections]
            held += [*clients, *https, *(http._auth for http in https), signer, token]
            held += [connections._token_cache, connections.redis, find_master_key(given)]
        told = "\n".join(
            [*map(repr, held), *map(str, held), settings.netsuite.model_dump_json(),
             settings.project.model_dump_json(), str(settings.servicenow.model_dump())]
        )  # fmt: skip
        assert scanner.in_bytes(told.encode(), "repr") == set()


def test_commands_and_steps_leave_no_core_dump(aftermath: Aftermath) -> None:
    for told in (aftermath.loud, aftermath.crashed, *aftermath.others):
        assert "core limit 0" in told.text


def test_token_based_authentication_says_that_it_ends(aftermath: Aftermath) -> None:
    assert "2027.1" in " ".join(aftermath.crashed.text.split())
