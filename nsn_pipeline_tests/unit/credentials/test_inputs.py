import json
from pathlib import Path

import pytest

from nsn_pipeline.credentials.fields import NETSUITE, SERVICENOW, System
from nsn_pipeline.credentials.inputs import parse
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline_tests.unit.credentials.samples import PEM, full, told

CANARY = "MIIcanarySecret"


def test_json_and_lines_and_variables_say_the_same(tmp_path: Path) -> None:
    values = full("servicenow")
    lines = "\n".join(f"{name}={value}" for name, value in values.items())
    variables = "\n".join(f"export SERVICENOW_{n.upper()}='{v}'" for n, v in values.items())
    for text in (json.dumps(values), lines, variables):
        assert parse(text, SERVICENOW, folder=tmp_path) == values


@pytest.mark.parametrize(
    "line",
    ["private_key=@key.pem", "NETSUITE_PRIVATE_KEY_PATH=key.pem", "private_key_path='key.pem'"],
)
def test_the_key_may_be_the_path_of_its_file(tmp_path: Path, line: str) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    assert parse(line, NETSUITE, folder=tmp_path) == {"private_key": PEM}


def test_a_password_may_begin_with_an_at_sign_and_hold_equals_signs(tmp_path: Path) -> None:
    assert parse("password=@a=b==", SERVICENOW, folder=tmp_path) == {"password": "@a=b=="}


def test_comments_are_as_in_an_environment_file(tmp_path: Path) -> None:
    text = """
    # all of it
    SERVICENOW_INSTANCE=acme   # the first part of the address
    SERVICENOW_BASE_URL=       # only elsewhere
    SERVICENOW_PASSWORD='a # b'  # quoted
    SERVICENOW_USERNAME=a#b
    """
    assert parse(text, SERVICENOW, folder=tmp_path) == {
        "instance": "acme",
        "base_url": "",
        "password": "a # b",
        "username": "a#b",
    }


def test_what_else_an_environment_file_holds_is_passed_over(tmp_path: Path) -> None:
    text = (
        "NETSUITE_CLIENT_ID=x\nNETSUITE_PRIVATE_KEY_PATH=/absent\nNSN_HOME=.nsn\nREDIS_URL=y\n"
        "NSN_MASTER_KEY=k\nSERVICENOW_CONCURRENCY=4\nSERVICENOW_USERNAME=me"
    )
    assert parse(text, SERVICENOW, folder=tmp_path) == {"username": "me"}


@pytest.mark.parametrize(
    ("system", "text", "part"),
    [
        pytest.param(NETSUITE, f"client_id=x\n{CANARY}", "line 2 is not", id="no equals sign"),
        pytest.param(NETSUITE, f"{CANARY}==", "line 1 names no field", id="base64 line"),
        pytest.param(NETSUITE, f"password={CANARY}", "names no field", id="other system's field"),
        pytest.param(NETSUITE, f"client_id_path={CANARY}", "names no field", id="path of no key"),
        pytest.param(NETSUITE, f'{{"client_id": "{CANARY}"', "JSON", id="cut json"),
        pytest.param(NETSUITE, f'{{"{CANARY}": "x"}}', "entry 1", id="unknown json key"),
        pytest.param(NETSUITE, f'{{"client_id": ["{CANARY}"]}}', "not a text", id="json list"),
        pytest.param(NETSUITE, f"client_id=a\nclient_id={CANARY}", "second time", id="twice"),
        pytest.param(NETSUITE, f"private_key=@{CANARY}", "cannot be read", id="no such file"),
        pytest.param(NETSUITE, f"private_key=@{'x' * 5000}{CANARY}", "cannot be read", id="long"),
        pytest.param(NETSUITE, "", "no field", id="nothing"),
    ],
)
def test_faults_name_the_place_and_never_the_text(
    tmp_path: Path, system: System, text: str, part: str
) -> None:
    with pytest.raises(ConfigurationError, match=part) as caught:
        parse(text, system, folder=tmp_path)
    assert CANARY not in told(caught.value)
