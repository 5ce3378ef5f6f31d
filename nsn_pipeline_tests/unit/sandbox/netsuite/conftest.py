import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from nsn_pipeline.sandbox.netsuite.app import create_app
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions
from nsn_pipeline.sandbox.netsuite.store import Store
from nsn_pipeline.sandbox.netsuite.suiteql import Engine

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette asks for httpx2; httpx does as well
    from starlette.testclient import TestClient

NOW = datetime(2026, 7, 2, 12, 0, tzinfo=UTC).timestamp()
BASE = "https://1234567-sb1.suitetalk.api.netsuite.com"
TOKEN_URL = f"{BASE}/services/rest/auth/oauth2/v1/token"

ROWS: dict[str, list[dict[str, str]]] = {
    "currency": [
        {"id": "1", "symbol": "USD", "name": "US Dollar", "exchangerate": "1"},
        {"id": "2", "symbol": "EUR", "name": "Euro", "exchangerate": "1.0842"},
    ],
    "subsidiary": [
        {"id": "1", "name": "Parent", "fullname": "Parent"},
        {"id": "3", "name": "Child", "fullname": "Parent : Child", "parent": "1"},
    ],
    "department": [
        {"id": "1", "name": "Ops", "fullname": "Ops", "subsidiary": "1, 3"},
        {"id": "2", "name": "IT", "fullname": "Ops : IT", "parent": "1", "isinactive": "F"},
    ],
    "account": [
        {"id": "58", "acctnumber": "6000", "fullname": "Hosting", "accttype": "Expense",
         "subsidiary": "1, 3"},
        {"id": "111", "acctnumber": "02000", "fullname": "Payables", "accttype": "AcctPay"},
        {"id": "642", "fullname": "Unnumbered", "accttype": "Expense"},
    ],
    "vendor": [
        {"id": "1", "entityid": "ACME", "companyname": "Acme", "isperson": "F", "currency": "2",
         "url": ""},
        {"id": "2", "entityid": "Bob", "firstname": "Bob", "lastname": "Öz", "isperson": "T"},
        {"id": "10", "entityid": "zeta", "companyname": "Zeta", "isperson": "F"},
    ],
    "transaction": [
        {"id": "5", "type": "VendBill", "recordtype": "vendorbill", "tranid": "INV-5",
         "entity": "1", "trandate": "2026-03-02", "status": "A", "approvalstatus": "2",
         "posting": "T", "currency": "2", "exchangerate": "1.0842", "foreigntotal": "-1250.00",
         "memo": "", "lastmodifieddate": "2026-03-02T07:30:00Z"},
        {"id": "9", "type": "VendBill", "recordtype": "vendorbill", "tranid": "INV-9",
         "entity": "2", "trandate": "2026-02-28", "status": "B", "approvalstatus": "2",
         "posting": "T", "currency": "1", "exchangerate": "1", "foreigntotal": "-0.50",
         "memo": "Zebra", "lastmodifieddate": "2026-03-08T10:30:00Z"},
        {"id": "10", "type": "PurchOrd", "recordtype": "purchaseorder", "tranid": "PO-10",
         "entity": "10", "trandate": "2026-06-30", "status": "B", "approvalstatus": "1",
         "posting": "F", "currency": "1", "exchangerate": "1", "foreigntotal": "99.90",
         "memo": "apple", "lastmodifieddate": "2026-07-01T00:00:00Z"},
        {"id": "100", "type": "VendCred", "recordtype": "vendorcredit", "tranid": "INV-5",
         "entity": "1", "trandate": "2026-07-01", "status": "A", "approvalstatus": "2",
         "posting": "T", "currency": "1", "exchangerate": "1", "foreigntotal": "0.10",
         "memo": "100% off", "lastmodifieddate": "2026-07-01T00:00:01Z"},
    ],
    "transactionline": [
        {"transaction": "5", "id": "0", "uniquekey": "900", "mainline": "T",
         "foreignamount": "-1250", "subsidiary": "3", "expenseaccount": "111"},
        {"transaction": "5", "id": "1", "uniquekey": "901", "mainline": "F",
         "foreignamount": "800.10", "department": "2", "expenseaccount": "642"},
        {"transaction": "5", "id": "2", "uniquekey": "902", "mainline": "F",
         "foreignamount": "449.90", "quantity": "10", "rate": "44.99", "quantitybilled": "2.5",
         "expenseaccount": "58", "createdfrom": "10"},
        {"transaction": "100", "id": "0", "uniquekey": "903", "mainline": "T",
         "foreignamount": "0.1"},
        {"transaction": "100", "id": "1", "uniquekey": "904", "mainline": "F",
         "foreignamount": "-0.1"},
        {"transaction": "100", "id": "10", "uniquekey": "905", "mainline": "F",
         "foreignamount": "0.2"},
    ],
    "transactionaccountingline": [
        {"accountingbook": "1", "transaction": "5", "transactionline": "0", "account": "111",
         "credit": "1355.25", "amount": "-1355.25"},
        {"accountingbook": "1", "transaction": "5", "transactionline": "1", "account": "642",
         "debit": "867.47", "amount": "867.47"},
        {"accountingbook": "1", "transaction": "5", "transactionline": "2", "account": "58",
         "debit": "487.78", "amount": "487.78"},
    ],
    "nexttransactionlinelink": [
        {"previousdoc": "10", "previousline": "1", "previoustype": "PurchOrd", "nextdoc": "5",
         "nextline": "2", "nexttype": "VendBill", "linktype": "OrdBill"},
    ],
}  # fmt: skip


class Account:
    """A loaded account: its engine, and a client that is logged in."""

    def __init__(self, path: Path, options: NetSuiteOptions, key: Any) -> None:
        self.options = options
        self.key = key
        self.now = NOW
        self.app = create_app(path, options, clock=lambda: self.now)
        self.store: Store = self.app.state.store
        self.engine = Engine(self.store, options)
        self.http = TestClient(self.app, base_url=BASE, raise_server_exceptions=False)

    def load(self) -> "Account":
        for table, rows in ROWS.items():
            self.store.insert(table, rows)
        return self

    def rows(self, sql: str, *params: str) -> list[dict[str, str]]:
        page = self.engine.page(sql, params, 1000, 0)
        assert page.total == len(page.items), "totalResults does not agree with the rows"
        return [{k: v for k, v in item.items() if k != "links"} for item in page.items]

    def assertion(self, algorithm: str = "PS256", **changes: Any) -> str:
        claims = {
            "iss": "client-1", "scope": ["rest_webservices"], "aud": TOKEN_URL,
            "iat": int(self.now), "exp": int(self.now) + 300,
        }  # fmt: skip
        headers = {"kid": changes.pop("kid", "cert-1")}
        key = changes.pop("key", self.key)
        return jwt.encode({**claims, **changes}, key, algorithm=algorithm, headers=headers)

    def ask_token(self, assertion: str, **changes: str) -> Any:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        return self.http.post("/services/rest/auth/oauth2/v1/token", data={**form, **changes})

    def login(self) -> dict[str, str]:
        token = self.ask_token(self.assertion()).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def query(self, sql: str, params: list[Any] | None = None, **where: Any) -> Any:
        body: dict[str, Any] = {"q": sql}
        if params is not None:
            body["params"] = params
        headers = {"Prefer": "transient", "Content-Type": "application/json", **self.login()}
        return self.http.post(
            "/services/rest/query/v1/suiteql", content=json.dumps(body), headers=headers,
            params=where,
        )  # fmt: skip


def certificate(key: Any, *, days: int = 30) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nsn")])
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="session")
def rsa_key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=3072)


@pytest.fixture(scope="session")
def short_key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def ec_keys() -> dict[str, Any]:
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    return {name: ec.generate_private_key(curve) for name, curve in curves.items()}


MakeAccount = Callable[..., Account]


@pytest.fixture
def make_account(tmp_path: Path, rsa_key: Any) -> Iterator[MakeAccount]:
    made: list[Account] = []

    def make(*, load: bool = True, **changes: Any) -> Account:
        options = NetSuiteOptions(
            client_id="client-1", certificate_id="cert-1", certificate=certificate(rsa_key)
        )
        path = tmp_path / f"account{len(made)}.db"
        account = Account(path, replace(options, **changes), rsa_key)
        made.append(account)
        return account.load() if load else account

    yield make
    for account in made:
        account.store.close()


@pytest.fixture
def account(make_account: MakeAccount) -> Account:
    return make_account()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The loaded account for tests that only read."""
    path = tmp_path_factory.mktemp("netsuite") / "world.db"
    found = Account(path, NetSuiteOptions(), None).load()
    yield found
    found.store.close()


@pytest.fixture
def cert() -> Callable[..., str]:
    return certificate
