"""Platform tables: users, roles, tasks, the dictionary itself, import sets.

The dictionary tables are filled from the table definitions (`dictionary.py`), as on an instance,
so that a client sees exactly the columns it can write.
"""

from nsn_pipeline.sandbox.servicenow.table_definitions import TableDefinition

USERS_AND_TASKS = (
    TableDefinition(
        "sys_user",
        "User",
        """
        user_name string(40) unique
        name string(151) display index
        first_name string(50)
        last_name string(50)
        email email index
        active boolean =true
        locked_out boolean
        title string(60)
        phone phone
        employee_number string(40) index
        manager reference(sys_user)
        department reference(cmn_department)
        location reference(cmn_location)
        company reference(core_company)
        cost_center reference(cmn_cost_center)
        time_zone string(40)
        preferred_language string(3)
        country string(3)
        """,
    ),
    TableDefinition(
        "sys_user_group",
        "Group",
        """
        name string(80) display index
        description string(1000)
        email email
        active boolean =true
        manager reference(sys_user)
        parent reference(sys_user_group)
        """,
    ),
    TableDefinition(
        "sys_user_grmember",
        "Group Member",
        "user reference(sys_user)\ngroup reference(sys_user_group)",
    ),
    TableDefinition(
        "sys_user_role", "Role", "name string(100) display unique\ndescription string(1000)"
    ),
    TableDefinition(
        "sys_user_has_role",
        "User Role",
        """
        user reference(sys_user)
        role reference(sys_user_role)
        inherited boolean
        state choice(active,inactive) =active
        """,
    ),
    TableDefinition(
        "task",
        "Task",
        """
        number number(TASK) display
        active boolean =true
        short_description string(160)
        description string(4000)
        state integer =1
        priority integer =4
        impact integer =3
        urgency integer =3
        opened_at datetime
        opened_by reference(sys_user)
        closed_at datetime
        due_date datetime
        assigned_to reference(sys_user)
        assignment_group reference(sys_user_group)
        company reference(core_company)
        location reference(cmn_location)
        parent reference(task)
        correlation_id string(100) index
        correlation_display string(100)
        """,
    ),
    TableDefinition(
        "incident",
        "Incident",
        """
        number number(INC) display
        caller_id reference(sys_user) | Caller
        category string(40) =inquiry
        close_code string(40)
        close_notes string(4000)
        """,
        extends="task",
    ),
    TableDefinition(
        "problem",
        "Problem",
        "number number(PRB) display\ncause_notes string(4000)\nknown_error boolean",
        extends="task",
    ),
)

DICTIONARY = (
    TableDefinition(
        "sys_db_object",
        "Table",
        """
        name string(80) unique
        label string(80) display
        super_class reference(sys_db_object)
        sys_scope reference(sys_scope)
        is_extendable boolean
        ws_access boolean =true
        """,
    ),
    TableDefinition(
        "sys_scope", "Application", "scope string(40) unique\nname string(100) display"
    ),
    TableDefinition("sys_glide_object", "Field class", "name string(40) unique display"),
    TableDefinition(
        "sys_dictionary",
        "Dictionary Entry",
        """
        name string(80) index
        element string(80) display index
        column_label string(80)
        internal_type reference(sys_glide_object)
        reference reference(sys_db_object)
        max_length integer
        mandatory boolean
        read_only boolean
        unique boolean
        display boolean
        active boolean =true
        default_value string(255)
        """,
    ),
    TableDefinition(
        "sys_choice",
        "Choice",
        """
        name string(80) index
        element string(80) index
        value string(60)
        label string(80) display
        language string(3) =en
        inactive boolean
        sequence integer
        """,
    ),
    TableDefinition(
        "sys_properties",
        "System Property",
        "name string(100) unique display\nvalue string(4000)\ntype string(40)",
    ),
)

MONEY_AND_IMPORT = (
    TableDefinition(
        "fx_currency2_instance",
        "FX Currency Instance",
        """
        amount decimal(4)
        currency string(3)
        reference_amount decimal(4)
        reference_currency string(3)
        table string(80)
        field string(80)
        id string(32) index
        """,
    ),
    TableDefinition(
        "sys_import_set",
        "Import Set",
        "number number(ISET) display\ntable_name string(80)\nstate string(40)",
    ),
    TableDefinition(
        "sys_import_set_row",
        "Import Set Row",
        """
        sys_import_set reference(sys_import_set)
        sys_import_state string(40)
        sys_import_state_comment string(1000)
        sys_target_table string(80)
        sys_target_sys_id string(32)
        """,
    ),
)

PLATFORM_TABLES = USERS_AND_TASKS + DICTIONARY + MONEY_AND_IMPORT
