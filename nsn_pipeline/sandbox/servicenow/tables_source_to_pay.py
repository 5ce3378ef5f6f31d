"""Source-to-Pay tables, after docs/facts/servicenow.md 7.2 to 7.5.

Their amounts are FX Currency columns; header amounts and states are derived, not written.
"""

from nsn_pipeline.sandbox.servicenow.table_definitions import TableDefinition

INVOICE_STATE = (
    "draft,received,po_matching_completed,exceptions_found,no_exceptions_found,pending_approval,"
    "approval_recalled,approved,pending_payment,paid,rejected,canceled"
)

SOURCE_TO_PAY_TABLES = (
    TableDefinition("sn_fin_erp_source", "ERP Source", "name string(100) display index"),
    TableDefinition(
        "sn_fin_legal_entity",
        "Legal Entity",
        """
        legal_name string(255) display
        erp_company_code string(40) index | ERP company code
        local_currency string(3)
        reporting_currency string(3)
        """,
    ),
    TableDefinition(
        "sn_shop_payment_term",
        "Payment Term",
        """
        payment_term string(100) display index
        type string(40)
        net_days_to_pay integer
        discount_percentage decimal(4)
        discount_days integer
        """,
    ),
    TableDefinition(
        "sn_fin_supplier",
        "Supplier",
        """
        number number(SUP)
        legal_name string(255) display mandatory
        erp_company_code string(40) index | ERP supplier code
        erp_source reference(sn_fin_erp_source) | ERP source
        customer_number string(40)
        accepted_purchasing_currency string(3)
        tax_jurisdiction string(40)
        payment_term reference(sn_shop_payment_term)
        pobox_number string(40)
        onboarded boolean
        onboarded_date date
        purchasing_entities list(sn_fin_legal_entity)
        gl_account reference(sn_fin_gl_account) | GL account
        incoterm string(40)
        u_netsuite_id string(40) unique | NetSuite ID
        """,
    ),
    TableDefinition(
        "sn_fin_gl_account",
        "GL Account",
        """
        gl_account string(40) index | GL account
        display_name string(255) display
        short_description string(255)
        account_currency string(3)
        local_currency string(3)
        category string(40)
        type string(40)
        inactive boolean
        legal_entity reference(sn_fin_legal_entity)
        erp_source reference(sn_fin_erp_source) | ERP source
        item_management string(40)
        """,
        denied=("insert",),  # a base-system rule refuses REST creation to everyone (7.5)
    ),
    TableDefinition(
        "sn_shop_purchase_order",
        "Purchase Order",
        """
        number number(PON)
        display_name string(255) display
        status choice(processing,pending_submission,ordered,delivered) read_only =processing
        supplier reference(sn_fin_supplier)
        total_amount fx
        invoiced_amount fx read_only
        in_process_invoiced_amount fx read_only
        received_amount fx read_only
        remaining_amount fx read_only
        cost_center reference(cmn_cost_center)
        legal_entity reference(sn_fin_legal_entity)
        purchasing_entity reference(sn_fin_legal_entity)
        purchase_order_type choice(standard:Standard,blanket:Blanket) =standard
        payment_term reference(sn_shop_payment_term)
        business_owner reference(sys_user)
        expected_delivery date
        erp_number string(40) index | ERP number
        erp_source reference(sn_fin_erp_source) | ERP source
        erp_sync_failed boolean
        u_netsuite_id string(40) unique | NetSuite ID
        """,
    ),
    TableDefinition(
        "sn_shop_purchase_order_line",
        "Purchase Order Line",
        """
        number number(PONL) display
        purchase_order reference(sn_shop_purchase_order)
        product_name string(255)
        short_description string(255)
        supplier reference(sn_fin_supplier)
        purchased_quantity decimal(4)
        received_quantity decimal(4)
        invoiced_quantity decimal(4)
        unit_price fx
        total_line_amount fx
        product_type string(40)
        uom string(40)
        expected_delivery_date date
        general_ledger_account reference(sn_fin_gl_account)
        goods_receipt_required boolean
        state string(40)
        erp_line_number string(40) | ERP line number
        u_netsuite_id string(60) unique | NetSuite ID
        """,
    ),
    TableDefinition(
        "sn_fin_base_invoice",
        "Base Invoice",
        f"""
        number number(INV) display
        type choice(po_invoice,non_po_invoice,debit_memo,credit_memo)
        state choice({INVOICE_STATE}) =draft
        supplier reference(sn_fin_supplier)
        supplier_invoice_number string(40) index
        external_invoice_number string(40) index
        legal_entity reference(sn_fin_legal_entity)
        invoice_date date
        due_date date
        payment_date date
        payment_terms reference(sn_shop_payment_term)
        subtotal fx
        tax_amount fx
        invoice_amount fx read_only | Amount invoiced (Transaction currency)
        erp_number string(40) index | ERP number
        erp_source reference(sn_fin_erp_source) | ERP source
        erp_posting_date date
        channel string(40)
        business_owner reference(sys_user)
        short_description string(255)
        """,
    ),
    TableDefinition(
        "sn_shop_invoice",
        "Invoice",
        """
        purchase_order reference(sn_shop_purchase_order)
        u_netsuite_id string(40) unique | NetSuite ID
        """,
        extends="sn_fin_base_invoice",
    ),
    TableDefinition(
        "sn_fin_base_invoice_line",
        "Base Invoice Line",
        """
        number number(INVL) display
        line_description string(255)
        invoiced_quantity decimal(4)
        line_unit_price fx
        line_amount fx
        tax_amount fx
        ledger_account reference(sn_fin_gl_account)
        cost_center reference(cmn_cost_center)
        uom string(40)
        state string(40)
        """,
    ),
    TableDefinition(
        "sn_shop_invoice_line",
        "Invoice Line",
        """
        invoice reference(sn_shop_invoice)
        order_line reference(sn_shop_purchase_order_line)
        u_netsuite_id string(60) unique | NetSuite ID
        """,
        extends="sn_fin_base_invoice_line",
    ),
)
