"""The tables the generator fills and their columns, as NetSuite and ServiceNow name them.

Written from `docs/facts/netsuite.md` 6 and `docs/facts/servicenow.md` 7. A table file may hold
other columns too (`files.py`); these are only the ones made-up data has.
"""

from collections.abc import Iterator
from typing import Literal

System = Literal["netsuite", "servicenow"]
Row = dict[str, str | None]
Chunk = tuple[System, str, list[Row]]

_COLUMNS = {
    "currency": "id symbol name displaysymbol currencyprecision exchangerate isbasecurrency"
    " isinactive",
    "subsidiary": "id name fullname legalname parent currency country iselimination isinactive"
    " lastmodifieddate",
    "accountingbook": "id name isprimary",
    "accountingperiod": "id periodname startdate enddate closed isposting isquarter isyear isadjust"
    " aplocked arlocked alllocked parent lastmodifieddate",
    "account": "id acctnumber accttype fullname accountsearchdisplayname"
    " accountsearchdisplaynamecopy displaynamewithhierarchy description parent isinactive issummary"
    " eliminate sspecacct currency subsidiary includechildren externalid lastmodifieddate",
    "department": "id name fullname parent isinactive includechildren subsidiary externalid"
    " lastmodifieddate",
    "classification": "id name fullname parent isinactive includechildren subsidiary externalid"
    " lastmodifieddate",
    "location": "id name fullname parent isinactive includechildren subsidiary externalid"
    " lastmodifieddate",
    "term": "id name isinactive",
    "item": "id itemid displayname fullname itemtype subtype description purchasedescription"
    " expenseaccount assetaccount incomeaccount isinactive externalid lastmodifieddate",
    "vendor": "id entityid companyname altname isperson firstname middlename lastname legalname"
    " printoncheckas email phone url currency terms category payablesaccount expenseaccount"
    " accountnumber isinactive externalid datecreated lastmodifieddate representingsubsidiary",
    "vendorsubsidiaryrelationship": "id entity subsidiary isprimarysub primarycurrency balance"
    " lastmodifieddate",
    "transaction": "id type recordtype tranid transactionnumber externalid entity trandate duedate"
    " closedate status approvalstatus posting postingperiod currency exchangerate foreigntotal"
    " foreignamountpaid foreignamountunpaid memo terms otherrefnum void voided isreversal reversal"
    " intercoadj createdby createddate lastmodifiedby lastmodifieddate paymenthold"
    " custbody_project",
    "transactionline": "transaction id uniquekey linesequencenumber mainline taxline item quantity"
    " rate foreignamount netamount creditforeignamount debitforeignamount expenseaccount"
    " accountinglinetype memo entity department class location subsidiary createdfrom"
    " quantitybilled quantityshiprecv isclosed isbillable eliminate linelastmodifieddate"
    " linecreateddate",
    "transactionaccountingline": "accountingbook transaction transactionline account debit credit"
    " amount netamount posting exchangerate lastmodifieddate",
    "nexttransactionlinelink": "previousdoc previousline previoustype nextdoc nextline nexttype"
    " linktype foreignamount lastmodifieddate",
    "previoustransactionlinelink": "previousdoc previousline previoustype nextdoc nextline nexttype"
    " linktype foreignamount lastmodifieddate",
    "deletedrecord": "recordid recordtypeid scriptid type name deleteddate deletedby context"
    " iscustomrecord iscustomlist iscustomtransaction",
    "itfm_gl_accounts": "sys_id account_number account_name",
    "cmn_cost_center": "sys_id code name valid_from valid_to",
    "core_company": "sys_id name vendor customer phone website city country",
}
COLUMNS: dict[str, tuple[str, ...]] = {name: tuple(text.split()) for name, text in _COLUMNS.items()}
SERVICENOW_TABLES = frozenset({"itfm_gl_accounts", "cmn_cost_center", "core_company"})


def row(table: str, **values: str | None) -> Row:
    """A row with every column of `table`; a misspelt column fails here, not in a query later.

    `class` is a Python keyword, so it is written `class_`.
    """
    filled: Row = dict.fromkeys(COLUMNS[table])
    for name, value in values.items():
        column = name.removesuffix("_")
        if column not in filled:
            raise KeyError(f"{table} has no column {column}")
        filled[column] = value
    return filled


def flag(value: bool) -> str:
    return "T" if value else "F"


class Batch:
    """Rows collected per table until there are enough of them to hand on."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {}
        self.size = 0

    def add(self, table: str, **values: str | None) -> Row:
        made = row(table, **values)
        self._rows.setdefault(table, []).append(made)
        self.size += 1
        return made

    def drain(self) -> Iterator[Chunk]:
        """Hand out and forget what was collected, tables in the order of first use."""
        rows, self._rows, self.size = self._rows, {}, 0
        for table, collected in rows.items():
            yield ("servicenow" if table in SERVICENOW_TABLES else "netsuite"), table, collected
