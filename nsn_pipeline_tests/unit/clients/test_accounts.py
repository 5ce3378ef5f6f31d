import pytest

from nsn_pipeline.clients.accounts import (
    netsuite_account,
    netsuite_base_url,
    servicenow_base_url,
    servicenow_instance,
)
from nsn_pipeline.errors import ConfigurationError


@pytest.mark.parametrize(
    "spelling",
    [
        "1234567_SB1",
        "1234567-sb1",
        "1234567_sb1",
        " 1234567-SB1\n",
        "1234567-sb1.suitetalk.api.netsuite.com",
        "https://1234567-sb1.app.netsuite.com/app/center/card.nl?sc=-29",
    ],
)
def test_every_spelling_of_a_sandbox_means_one_account(spelling) -> None:
    account = netsuite_account(spelling)
    assert account.account_id == "1234567_SB1"
    assert account.base_url == "https://1234567-sb1.suitetalk.api.netsuite.com"
    assert account.ui_url == "https://1234567-sb1.app.netsuite.com"


@pytest.mark.parametrize(
    ("text", "canonical", "label"),
    [
        ("1234567", "1234567", "1234567"),
        ("TSTDRV1204919", "TSTDRV1204919", "tstdrv1204919"),
        ("1234567_rp", "1234567_RP", "1234567-rp"),
    ],
)
def test_other_account_kinds(text, canonical, label) -> None:
    account = netsuite_account(text)
    assert (account.account_id, account.label) == (canonical, label)


@pytest.mark.parametrize(
    "text",
    ["", "12 34", "1234567_SB1_x", "evil.example.com", "1234567/../x", "a@b", "1" * 64, "acmé"],
)
def test_an_id_that_is_no_host_label_is_refused(text) -> None:
    with pytest.raises(ConfigurationError, match="Company Information"):
        netsuite_account(text)


@pytest.mark.parametrize(
    "text",
    [
        "system.netsuite.com",
        "https://system.netsuite.com/app/center/card.nl",
        "rest.netsuite.com",
        "system.na1.netsuite.com",
        "webservices.eu2.netsuite.com",
        "www.netsuite.com",
        "netsuite.com",
        "1234567.netsuite.com",
        "system",
        "REST",
    ],
)
def test_a_host_that_all_accounts_share_is_no_account(text) -> None:
    with pytest.raises(ConfigurationError, match="Company Information"):
        netsuite_account(text)


SANDBOX = netsuite_account("1234567_SB1")


@pytest.mark.parametrize(
    "given",
    [
        "https://1234567-sb1.suitetalk.api.netsuite.com",
        "https://1234567-SB1.suitetalk.api.netsuite.com./",
        "https://proxy.example/netsuite",
        "http://127.0.0.1:8080",
    ],
)
def test_an_address_of_the_account_or_of_a_proxy_is_taken(given) -> None:
    assert netsuite_base_url(SANDBOX, given) == given
    assert netsuite_base_url(SANDBOX, None) == SANDBOX.base_url


@pytest.mark.parametrize(
    ("given", "whose"),
    [
        ("https://system.netsuite.com", "no account"),
        ("https://rest.netsuite.com/rest", "no account"),
        ("https://1234567.suitetalk.api.netsuite.com", "account 1234567,"),
        ("https://1234567-sb2.suitetalk.api.netsuite.com", "account 1234567_SB2"),
    ],
)
def test_another_host_of_netsuites_is_refused_before_anything_is_sent(given, whose) -> None:
    with pytest.raises(ConfigurationError, match="NETSUITE_BASE_URL") as raised:
        netsuite_base_url(SANDBOX, given)
    assert whose in str(raised.value)


@pytest.mark.parametrize("read", [netsuite_account, servicenow_instance])
def test_a_pasted_login_is_not_quoted(read) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read("https://admin:canary@acme.example/nav")
    assert "canary" not in str(raised.value)


def test_a_sandbox_without_its_number_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="1234567_SB1"):
        netsuite_account("1234567_SB")


@pytest.mark.parametrize(
    "text", ["acme", "ACME", "acme.service-now.com", "https://acme.service-now.com/"]
)
def test_every_spelling_of_an_instance_means_one_host(text) -> None:
    instance = servicenow_instance(text)
    assert instance.name == "acme"
    assert instance.base_url == "https://acme.service-now.com"


@pytest.mark.parametrize(
    "text", ["", "acme.example.com", "-acme", "ac me", "a.service-now.com.evil"]
)
def test_a_strange_instance_is_refused(text) -> None:
    with pytest.raises(ConfigurationError, match="SERVICENOW_BASE_URL"):
        servicenow_instance(text)


def test_an_address_that_cannot_be_read_is_a_fault_of_the_settings() -> None:
    with pytest.raises(ConfigurationError, match="is no address"):
        netsuite_base_url(SANDBOX, "https://[1")


@pytest.mark.parametrize(
    "given",
    ["https://admin:canary@[1234567", "https://canary@[::g]/", "https://canary:x@acme\u2100.test"],
)
def test_an_address_that_cannot_be_read_and_may_carry_a_login_is_not_quoted(given) -> None:
    for read, whose in (
        (netsuite_base_url, SANDBOX),
        (servicenow_base_url, servicenow_instance("acme")),
    ):
        with pytest.raises(ConfigurationError, match="is no address") as raised:
            read(whose, given)
        assert "canary" not in str(raised.value)
        assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    "given",
    [
        "https://acme.service-now.com",
        "https://ACME.service-now.com./",
        "https://service.acme.example",
        "https://acmedev.service-now.com.example",
        "http://127.0.0.1:8080",
    ],
)
def test_an_address_of_the_instance_or_of_another_domain_is_taken(given) -> None:
    instance = servicenow_instance("acme")
    assert servicenow_base_url(instance, given) == given
    assert servicenow_base_url(instance, None) == instance.base_url


@pytest.mark.parametrize(
    "given",
    [
        "https://acmedev.service-now.com",
        "https://ACMEDEV.Service-Now.com:443/nav",
        "https://service-now.com",
        "https://www.acme.service-now.com",
    ],
)
def test_another_instance_is_refused_before_anything_is_sent(given) -> None:
    with pytest.raises(ConfigurationError, match="not that of instance acme") as raised:
        servicenow_base_url(servicenow_instance("acme"), given)
    assert "SERVICENOW_BASE_URL" in str(raised.value)
