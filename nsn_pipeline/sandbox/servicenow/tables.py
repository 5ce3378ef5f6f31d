"""Base-system tables of the simulated instance, after docs/facts/servicenow.md 7.

Columns that start with `u_`, and the tables `sn_apo_invoice`, `sn_apo_invoice_line` and
`u_netsuite_gl_posting`, are what a customer's administrator would have created for this
integration; the rest is documented, or seen on live instances.
"""

from nsn_pipeline.sandbox.servicenow.table_definitions import TableDefinition

PO_STATUS = (
    "requested:Requested,ordered:Ordered,pending:Pending Delivery,received:Received,"
    "canceled:Canceled,suspended:Suspended"
)

PROCUREMENT = (
    TableDefinition(
        "core_company",
        "Company",
        """
        name string(255) display index mandatory
        vendor boolean
        manufacturer boolean
        customer boolean
        publicly_traded boolean
        vendor_type list(vendor_type)
        vendor_manager list(sys_user)
        street string(255)
        city string(50)
        state string(40)
        zip string(40)
        country string(40)
        phone phone
        fax_phone phone
        website url
        contact reference(sys_user)
        parent reference(core_company)
        notes string(4000)
        stock_symbol string(40)
        num_employees integer
        correlation_id string(100) index
        u_netsuite_id string(40) unique | NetSuite ID
        u_netsuite_entity string(80) | NetSuite entity
        u_netsuite_url url | NetSuite link
        u_legal_name string(255)
        u_email email
        u_currency string(3)
        u_active boolean =true
        """,
    ),
    TableDefinition(
        "proc_po",
        "Purchase Order",
        f"""
        number number(PO) display strict
        vendor reference(core_company)
        vendor_account string(40)
        ship_to reference(alm_stockroom) mandatory
        bill_to reference(cmn_location)
        location reference(cmn_location)
        department reference(cmn_department)
        contract reference(ast_contract)
        po_date date | PO date
        due_by datetime
        expected_delivery datetime
        status choice({PO_STATUS}) strict =requested
        terms choice(credit:Credit,net_30:Net 30 days,net_90:Net 90 days)
        shipping string(40)
        ship_rate currency
        budget_number string(40)
        total_cost currency strict
        short_description string(160)
        description string(4000)
        requested_by reference(sys_user)
        requested_for reference(sys_user)
        requested datetime
        ordered datetime strict
        received datetime strict
        init_request reference(sc_request) strict
        purchase_order_type string(40) strict
        po_type string(40) strict
        source_id string(32) strict
        source_table string(80) strict
        assigned_to reference(sys_user)
        u_netsuite_id string(40) unique | NetSuite ID
        u_netsuite_number string(80) index | NetSuite number
        u_netsuite_url url | NetSuite link
        u_currency string(3)
        u_total_amount decimal(4)
        """,
    ),
    TableDefinition(
        "proc_po_item",
        "Purchase Order Line Item",
        f"""
        number number(POL) display strict
        purchase_order reference(proc_po)
        model reference(cmdb_model) | Product Model
        product_catalog reference(pc_product_cat_item)
        vendor reference(core_company)
        part_number string(100)
        request_line reference(sc_req_item)
        ordered_quantity decimal(4)
        received_quantity decimal(4) =0
        remaining_quantity decimal(4)
        cost price
        list_price price
        total_list_price price strict
        total_cost price
        status choice({PO_STATUS}) strict =requested
        ordered datetime strict
        received datetime strict
        stock_order boolean strict
        source_id string(32) strict
        source_table string(80) strict
        short_description string(160)
        u_netsuite_id string(40) unique | NetSuite ID
        u_line_number integer
        u_unit_price decimal(8)
        u_line_amount decimal(4)
        u_gl_account reference(itfm_gl_accounts) | GL account
        u_cost_center reference(cmn_cost_center)
        """,
    ),
)

FINANCE = (
    TableDefinition(
        "cmn_cost_center",
        "Cost Center",
        """
        name string(100) display index
        code string(40) index
        account_number string(40) index
        location reference(cmn_location)
        manager reference(sys_user)
        parent reference(cmn_cost_center)
        valid_from datetime
        valid_to datetime
        legal_entity reference(sn_fin_legal_entity)
        controlling_area string(40)
        cost_center_type string(40)
        available_for_use boolean
        profit_center string(40)
        erp_source reference(sn_fin_erp_source)
        u_netsuite_id string(40) | NetSuite ID
        u_active boolean =true
        """,
    ),
    TableDefinition(
        "itfm_gl_accounts",
        "General Ledger Account",
        """
        account_number string(80) index
        account_name string(255) display
        u_netsuite_id string(40) index | NetSuite ID
        u_active boolean =true
        """,
    ),
    TableDefinition(
        "sn_apo_invoice",
        "AP Invoice",
        """
        number number(INV) display
        supplier reference(core_company)
        supplier_invoice_number string(40) index
        type choice(invoice,credit_memo)
        state choice(draft,pending_approval,approved,paid,canceled) =draft
        purchase_order reference(proc_po)
        invoice_date date
        due_date date
        currency string(3)
        total_amount currency
        short_description string(160)
        u_netsuite_id string(40) unique | NetSuite ID
        u_netsuite_number string(80) index | NetSuite number
        u_netsuite_url url | NetSuite link
        u_total_amount decimal(4)
        u_tax_amount decimal(4)
        """,
        scope="sn_apo",
    ),
    TableDefinition(
        "sn_apo_invoice_line",
        "AP Invoice Line",
        """
        number number(INVL) display
        invoice reference(sn_apo_invoice)
        line_number integer
        short_description string(160)
        quantity decimal(8)
        unit_price decimal(8)
        line_amount currency
        is_tax boolean
        gl_account reference(itfm_gl_accounts) | GL account
        cost_center reference(cmn_cost_center)
        purchase_order_line reference(proc_po_item)
        u_netsuite_id string(60) unique | NetSuite ID
        u_line_amount decimal(4)
        """,
        scope="sn_apo",
    ),
    TableDefinition(
        "u_netsuite_gl_posting",
        "NetSuite GL Posting",
        """
        u_netsuite_id string(80) unique display | NetSuite ID
        u_netsuite_transaction string(40) index | NetSuite transaction
        u_gl_account reference(itfm_gl_accounts) | GL account
        u_cost_center reference(cmn_cost_center)
        u_supplier reference(core_company)
        u_posting_date date
        u_amount decimal(4)
        u_debit decimal(4)
        u_credit decimal(4)
        u_currency string(3)
        u_book string(40)
        u_document_type string(40)
        u_document_number string(80)
        u_subsidiary string(100)
        u_description string(255)
        """,
    ),
)

PLACES_AND_PRODUCTS = (
    TableDefinition(
        "cmn_location",
        "Location",
        """
        name string(100) display index
        full_name string(255)
        street string(255)
        city string(40)
        state string(40)
        zip string(40)
        country string(40)
        parent reference(cmn_location)
        company reference(core_company)
        contact reference(sys_user)
        phone phone
        latitude decimal(6)
        longitude decimal(6)
        correlation_id string(100) index
        """,
    ),
    TableDefinition(
        "cmn_department",
        "Department",
        """
        name string(100) display index
        id string(40) index
        parent reference(cmn_department)
        description string(1000)
        """,
    ),
    TableDefinition(
        "cmdb_model",
        "Product Model",
        """
        name string(255) index
        display_name string(255) display
        manufacturer reference(core_company)
        model_number string(100) index
        short_description string(1000)
        cost currency
        status string(40)
        """,
    ),
    TableDefinition("alm_stockroom", "Stockroom", "name string(100) display index"),
)

BASE_TABLES = PROCUREMENT + FINANCE + PLACES_AND_PRODUCTS
