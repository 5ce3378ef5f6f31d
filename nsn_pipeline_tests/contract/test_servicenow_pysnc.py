"""ServiceNow's own client, PySNC, against the simulated instance over TLS.

PySNC was written by people who know the real thing and not us: what it needs, the instance must do.
"""

import datetime as dt
import ipaddress
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pysnc
import pytest
import requests
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pysnc.exceptions import AuthenticationException, RoleException

from nsn_pipeline.sandbox.servicenow.app import Gateway, create_app
from nsn_pipeline.sandbox.servicenow.options import Fault, ServiceNowOptions
from nsn_pipeline.sandbox.servicenow.store import Store

USER = ("nsn.integration", "nsn-password")


def make_certificate(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "cert.pem", directory / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


class Served:
    """An instance behind uvicorn on a loopback port."""

    def __init__(self, directory: Path) -> None:
        self.options = ServiceNowOptions()
        app = create_app(directory / "data", self.options)
        self.store: Store = app.state.store
        self.gateway: Gateway = app.state.gateway
        self.ca, key = make_certificate(directory)
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            ssl_certfile=str(self.ca),
            ssl_keyfile=str(key),
            log_level="warning",
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"https://localhost:{port}"

    def close(self) -> None:
        self.server.should_exit = True
        self.server.force_exit = True  # do not wait for clients to close their pooled connections
        self.thread.join()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    instance = Served(tmp_path_factory.mktemp("servicenow"))
    yield instance
    instance.close()


@pytest.fixture
def fresh(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    # PySNC lets the environment win over its own `verify`
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(served.ca))
    yield served
    served.options.fault_hook = None
    served.options.unknown_field_mode = "ignore"
    for table in ("incident", "core_company", "proc_po"):
        for sys_id in list(served.store.data(table).rows):
            served.store.remove(table, sys_id)
    served.store.commit()


@pytest.fixture
def client(fresh: Served) -> pysnc.ServiceNowClient:
    return pysnc.ServiceNowClient(fresh.url, USER, verify=str(fresh.ca))


@pytest.fixture
def incidents(fresh: Served, client: pysnc.ServiceNowClient) -> pysnc.ServiceNowClient:
    caller = fresh.store.find("sys_user", "user_name", USER[0])[0]["sys_id"]
    rows = [
        {
            "short_description": f"case {n:03d}",
            "state": str(n % 3),
            "active": "true" if n % 2 else "false",
            "caller_id": caller,
        }
        for n in range(120)
    ]
    fresh.store.insert("incident", rows)
    return client


def test_iterates_every_record_over_several_pages(incidents):
    record = incidents.GlideRecord("incident", batch_size=25)
    record.query()
    names = [row.get_value("short_description") for row in record]
    assert record.get_row_count() == len(record) == 120
    assert sorted(names) == [f"case {n:03d}" for n in range(120)]


@pytest.mark.parametrize(("limit", "batch"), [(10, 100), (30, 20), (120, 50)])
def test_limit(incidents, limit, batch):
    record = incidents.GlideRecord("incident", batch_size=batch)
    record.limit = limit
    record.query()
    assert len(list(record)) == limit


def test_conditions_of_every_kind(incidents):
    record = incidents.GlideRecord("incident")
    record.add_query("state", "0").add_or_condition("state", "1")
    record.add_active_query()
    record.add_query("short_description", "STARTSWITH", "case 0")
    record.add_encoded_query("short_descriptionNOT LIKE9")
    record.add_null_query("close_code")
    record.add_not_null_query("caller_id")
    record.add_query("sys_class_name", "INSTANCEOF", "incident")
    record.order_by_desc("short_description")
    record.query()
    found = [int(row.get_value("short_description")[5:]) for row in record]
    wanted = [n for n in range(100) if n % 3 < 2 and n % 2 and "9" not in f"{n:03d}"]
    assert found == wanted[::-1]


def test_join_and_related_list_queries(incidents):
    users = incidents.GlideRecord("sys_user")
    users.add_rl_query("incident", "caller_id", ">0").add_query("active", "true")
    users.query()
    assert len(users) == 1
    users = incidents.GlideRecord("sys_user")
    users.add_join_query("sys_user_has_role", join_table_field="user").add_query("state", "active")
    users.query()
    assert len(users) == 1


def test_very_long_query_goes_through_the_batch_api(incidents):
    record = incidents.GlideRecord("incident", batch_size=50)
    everything = ",".join(f"case {n:03d}" for n in range(1500))
    record.add_query("short_description", "IN", everything)
    record.query()
    assert len(record) == 120
    assert len(list(record)) == 120


def test_get_by_id_by_column_and_of_nothing(incidents):
    record = incidents.GlideRecord("incident")
    assert record.get("short_description", "case 007")
    sys_id = record.get_value("sys_id")
    again = incidents.GlideRecord("incident")
    assert again.get(sys_id)
    assert again.get_value("number").startswith("INC")
    assert not incidents.GlideRecord("incident").get("0" * 32)


def test_dot_walk_and_display_values(incidents):
    record = incidents.GlideRecord("incident")
    record.fields = "short_description,caller_id,caller_id.user_name"
    assert record.get("short_description", "case 007")
    assert record.caller_id.user_name == USER[0]
    assert record.get_display_value("caller_id") == USER[0]
    assert len(record.get_value("caller_id")) == 32
    assert record.get_element("caller_id").get_link() is None


def test_reference_links(incidents):
    record = incidents.GlideRecord("incident")
    record.exclude_reference_link = False
    assert record.get("short_description", "case 007")
    link = record.get_element("caller_id").get_link()
    assert link.startswith(incidents.instance)
    row = incidents.session.get(link).json()["result"]
    assert row["user_name"] == USER[0]


def test_insert_update_delete(client):
    record = client.GlideRecord("core_company")
    record.initialize()
    record.name = "Acme"
    record.u_netsuite_id = "451"
    record.set_value("no_such_column", "x")
    sys_id = record.insert()
    assert len(str(sys_id)) == 32
    assert record.get_value("sys_mod_count") == "0"
    assert "no_such_column" not in record
    record.city = "Bonn"
    assert record.update() == sys_id
    assert record.get_value("sys_mod_count") == "1"
    assert record.sys_updated_on.date_value().tzinfo is not None
    assert record.delete()
    assert not client.GlideRecord("core_company").get(str(sys_id))


def test_chosen_sys_id(client):
    chosen = "0123456789abcdef0123456789abcdef"
    for expected in (True, False):
        record = client.GlideRecord("core_company")
        record.initialize()
        record.set_new_guid_value(chosen)
        record.name = "Acme"
        if expected:
            assert record.insert() == chosen
        else:
            with pytest.raises(RoleException, match="Error during insert of core_company"):
                record.insert()


def test_update_multiple_and_delete_multiple(incidents):
    record = incidents.GlideRecord("incident", batch_size=50)
    record.add_query("state", "2")
    record.query()
    for row in record:
        row.short_description = "changed"
    assert record.update_multiple()
    changed = incidents.GlideRecord("incident")
    changed.add_query("short_description", "changed")
    changed.query()
    assert len(changed) == 40
    assert changed.delete_multiple()
    rest = incidents.GlideRecord("incident")
    rest.query()
    assert len(rest) == 80


def test_serialization(incidents):
    record = incidents.GlideRecord("incident")
    record.fields = "short_description,caller_id,active"
    record.add_query("short_description", "case 001")
    record.query()
    assert record.next()
    plain = record.serialize()
    assert plain["short_description"] == "case 001"
    assert plain["active"] == "true"
    assert record.serialize(display_value=True)["caller_id"] == USER[0]
    both = record.serialize(display_value="both")["caller_id"]
    assert both == {"value": plain["caller_id"], "display_value": USER[0]}
    assert len(record.serialize_all()) == 1


def test_wrong_password_and_unknown_field_are_told_apart(fresh):
    stranger = pysnc.ServiceNowClient(fresh.url, ("x", "y"), verify=str(fresh.ca))
    with pytest.raises(AuthenticationException):
        stranger.GlideRecord("incident").query()
    fresh.options.unknown_field_mode = "forbid"
    known = pysnc.ServiceNowClient(fresh.url, USER, verify=str(fresh.ca))
    record = known.GlideRecord("incident")
    record.add_query("u_nope", "1")
    with pytest.raises(RoleException, match="Insufficient rights"):
        record.query()


def test_oauth_flows(fresh):
    options = fresh.options
    flows = [
        pysnc.auth.ServiceNowClientCredentialsFlow(options.client_id, options.client_secret),
        pysnc.auth.ServiceNowPasswordGrantFlow(*USER, options.client_id, options.client_secret),
    ]
    for flow in flows:
        client = pysnc.ServiceNowClient(fresh.url, flow)
        record = client.GlideRecord("sys_user")
        assert record.get("user_name", USER[0])


@pytest.mark.parametrize("answer", ["drop", "truncate"])
def test_cut_connection_is_an_error_to_the_client_and_the_server_lives_on(fresh, answer):
    fresh.options.fault_hook = lambda info: (
        Fault(work="commit", answer=answer) if info.method == "POST" else None
    )
    url = f"{fresh.url}/api/now/table/core_company"
    with pytest.raises(requests.exceptions.RequestException):
        requests.post(url, json={"name": "A"}, auth=USER, verify=str(fresh.ca), timeout=5)
    listed = requests.get(url, auth=USER, verify=str(fresh.ca), timeout=5)
    assert [row["name"] for row in listed.json()["result"]] == ["A"]
