"""Fills the dictionary, user and property tables from the definitions and the options.

These records are made anew at every start and are not in the journal.
"""

from nsn_pipeline.sandbox.servicenow.options import ServiceNowOptions, User
from nsn_pipeline.sandbox.servicenow.schema import Catalog, Table, derived_id
from nsn_pipeline.sandbox.servicenow.store import SEED_STAMP, SEEDER, Store
from nsn_pipeline.sandbox.servicenow.table_data import Row
from nsn_pipeline.sandbox.servicenow.table_definitions import Column

DICTIONARY_TABLES = frozenset({"sys_db_object", "sys_dictionary", "sys_choice", "sys_glide_object"})


def user_id_of(user: User) -> str:
    return user.sys_id or derived_id("sys_user", user.user_name)


def _put(store: Store, table: str, sys_id: str, **values: str) -> None:
    row: Row = {"sys_id": sys_id}
    row |= {name: value for name, value in values.items() if value}
    row |= {"sys_created_on": SEED_STAMP, "sys_updated_on": SEED_STAMP, "sys_mod_count": "0"}
    row |= {"sys_created_by": SEEDER, "sys_updated_by": SEEDER}
    store.put_volatile(table, row)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def fill_dictionary(catalog: Catalog, store: Store, options: ServiceNowOptions) -> None:
    for table in catalog.tables.values():
        _describe_table(store, table)
        for column in table.own.values():
            _describe_column(store, table, column)
        if table.parent is None:
            for column in table.columns.values():
                if column.name not in table.own:
                    _describe_column(store, table, column)
    unknown = _flag(options.unknown_field_mode == "no_rows")
    for name, value in {
        "glide.invalid_query.returns_no_rows": unknown,
        "com.snc.platform.security.oauth.is.active": "true",
        "glide.oauth.inbound.client.credential.grant_type.enabled": _flag(
            options.client_credentials_grant
        ),
        "glide.oauth.inbound.ropc.grant_type.disabled": _flag(not options.password_grant),
        "glide.rest.batch.max.inputSize": str(options.batch_input_limit),
        "glide.rest.batch.max.outputSize": str(options.batch_output_limit),
    }.items():
        _put(store, "sys_properties", derived_id("sys_properties", name), name=name, value=value)


def _describe_table(store: Store, table: Table) -> None:
    scope = table.definition.scope
    scope_id = derived_id("sys_scope", scope)
    _put(store, "sys_scope", scope_id, scope=scope, name=scope.replace("_", " ").title())
    _put(
        store,
        "sys_db_object",
        table.sys_id,
        name=table.name,
        label=table.label,
        super_class=table.parent.sys_id if table.parent else "",
        sys_scope=scope_id,
        is_extendable=_flag(bool(table.children)),
        ws_access="true",
    )
    row_id = derived_id("sys_dictionary", table.name, "")
    _put(
        store,
        "sys_dictionary",
        row_id,
        name=table.name,
        column_label=table.label,
        internal_type="collection",
        active="true",
    )


def _describe_column(store: Store, table: Table, column: Column) -> None:
    internal = column.internal_type
    _put(store, "sys_glide_object", derived_id("sys_glide_object", internal), name=internal)
    _put(
        store,
        "sys_dictionary",
        derived_id("sys_dictionary", table.name, column.name),
        name=table.name,
        element=column.name,
        column_label=column.label,
        internal_type=internal,
        reference=column.reference,
        max_length=str(32 if column.is_reference else column.max_length),
        mandatory=_flag(column.mandatory),
        read_only=_flag(column.read_only or column.strict),
        unique=_flag(column.unique or column.name == "sys_id"),
        display=_flag(column.display),
        active="true",
        default_value=column.default,
    )
    for position, (value, label) in enumerate(column.choices):
        _put(
            store,
            "sys_choice",
            derived_id("sys_choice", table.name, column.name, value),
            name=table.name,
            element=column.name,
            value=value,
            label=label,
            language="en",
            inactive="false",
            sequence=str(position),
        )


def fill_users(store: Store, options: ServiceNowOptions) -> None:
    for user in options.users:
        user_id = user_id_of(user)
        if store.get("sys_user", user_id) is None:  # else changed over REST and journaled
            _put_user(store, user, user_id, options)
        for role in user.roles:
            role_id = derived_id("sys_user_role", role)
            _put(store, "sys_user_role", role_id, name=role)
            _put(
                store,
                "sys_user_has_role",
                derived_id("sys_user_has_role", user_id, role),
                user=user_id,
                role=role_id,
                inherited="false",
                state="active",
            )


def _put_user(store: Store, user: User, user_id: str, options: ServiceNowOptions) -> None:
    first, last = user.first_name, user.last_name
    _put(
        store,
        "sys_user",
        user_id,
        user_name=user.user_name,
        first_name=first,
        last_name=last,
        name=f"{first} {last}".strip() or user.user_name,
        active=_flag(user.active),
        locked_out=_flag(user.locked_out),
        time_zone=options.user_time_zone,
        preferred_language=options.user_language,
        country=options.user_country,
    )
