import pytest

from nsn_pipeline.clients.encoded_query import Query, UnsafeValueError
from nsn_pipeline.errors import ConfigurationError


def test_conditions_come_before_the_order() -> None:
    query = (
        Query()
        .order_by("u_day", descending=True)
        .where("vendor.name", "=", "Globex GmbH")
        .where_in("u_netsuite_id", ["1", "2-3"])
        .where_empty("parent")
        .where_not_empty("code")
        .order_by("sys_id")
    )
    assert str(query) == (
        "vendor.name=Globex GmbH^u_netsuite_idIN1,2-3^parentISEMPTY^codeISNOTEMPTY"
        "^ORDERBYDESCu_day^ORDERBYsys_id"
    )


def test_building_on_leaves_the_first_query_alone() -> None:
    base = Query().where("active", "=", "true")
    base.where("a", "=", "1")
    assert str(base) == "active=true"


@pytest.mark.parametrize(
    "value",
    ["a^active=true", "a\nb", "a\tb", "\x00", "javascript:gs.getUserID()", " JavaScript:x", ""],
)
@pytest.mark.parametrize("operator", ["=", ">", "STARTSWITH"])
def test_a_value_that_would_change_the_query_is_refused(operator, value) -> None:
    with pytest.raises(UnsafeValueError):
        Query().where("name", operator, value)


@pytest.mark.parametrize("value", ["a,b", "", "a^b", "a\rb"])
def test_a_list_refuses_what_would_split_it(value) -> None:
    with pytest.raises(UnsafeValueError):
        Query().where_in("name", ["ok", value])


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(UnsafeValueError, match="empty list"):
        Query().where_in("name", [])


@pytest.mark.parametrize(("operator", "value"), [(">", "=5"), ("<", "=x")])
def test_a_value_that_would_lengthen_the_operator_is_refused(operator, value) -> None:
    with pytest.raises(UnsafeValueError, match="operator"):
        Query().where("name", operator, value)


def test_a_list_that_would_read_as_another_operator_is_refused() -> None:
    with pytest.raises(UnsafeValueError, match="operator"):
        Query().where_in("name", ["STANCEOFx"])


@pytest.mark.parametrize("field", ["", "Name", "a b", "a^b", "a=1", "a.", "1a"])
def test_a_field_must_be_a_column_name(field) -> None:
    with pytest.raises(UnsafeValueError):
        Query().where(field, "=", "x")


@pytest.mark.parametrize("operator", ["IN", "BETWEEN", "ON", "", "=="])
def test_other_operators_are_not_built(operator) -> None:
    with pytest.raises(UnsafeValueError):
        Query().where("a", operator, "x")


def test_commas_spaces_and_at_signs_are_fine_outside_lists() -> None:
    assert str(Query().where("email", "=", " a,b@c ")) == "email= a,b@c "


def test_the_refusal_is_both_a_configuration_and_a_value_error() -> None:
    assert issubclass(UnsafeValueError, ConfigurationError)
    assert issubclass(UnsafeValueError, ValueError)
