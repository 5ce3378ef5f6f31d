"""The SuiteQL tables, written from docs/facts/netsuite.md 6 and from nothing of ours.

Column notation: `name`, `name:kind`, `name:kind>table` for a reference, `name:multi>table` for a
multi-select ("1, 3, 4"). A trailing `!` marks key columns.
"""

from dataclasses import dataclass, field, replace

from nsn_pipeline.sandbox.netsuite.kinds import Kind

# Account features, each with the columns that go when it is off (docs/facts/netsuite.md 6).
FEATURE_COLUMNS: dict[str, frozenset[str]] = {
    "departments": frozenset({"department"}),
    "classes": frozenset({"class"}),
    "locations": frozenset({"location"}),
    "oneworld": frozenset(
        {"subsidiary", "eliminate", "intercoadj", "representingsubsidiary", "iselimination"}
    ),
    "multicurrency": frozenset({"currency", "exchangerate", "primarycurrency"}),
    "multibook": frozenset({"accountingbook"}),
}
FEATURE_TABLES: dict[str, str] = {
    "department": "departments",
    "classification": "classes",
    "location": "locations",
    "subsidiary": "oneworld",
    "vendorsubsidiaryrelationship": "oneworld",
    "currency": "multicurrency",
    "accountingbook": "multibook",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind, what it refers to and whether it is part of the key."""

    name: str
    kind: Kind = Kind.TEXT
    ref: str | None = None
    multi: bool = False
    key: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One SuiteQL table; `display` is SQL for a row's display name, with {r} for the row."""

    name: str
    columns: dict[str, Column]
    display: str | None = None
    indexes: tuple[tuple[str, ...], ...] = ()
    stamp: str | None = None
    unique: tuple[str, ...] = ()
    view_of: str | None = None
    custom: bool = field(default=False)

    @property
    def key(self) -> tuple[str, ...]:
        """The primary key columns, in order."""
        return tuple(column.name for column in self.columns.values() if column.key)

    def with_columns(self, extra: dict[str, Column]) -> "Table":
        """This table and the custom columns the account added."""
        return replace(self, columns={**self.columns, **extra})


def parse_columns(text: str) -> dict[str, Column]:
    """Columns in the notation of the module docstring."""
    columns: dict[str, Column] = {}
    for word in text.split():
        name, _, rest = word.removesuffix("!").partition(":")
        kind, _, ref = rest.partition(">")
        multi = kind == "multi"
        columns[name] = Column(
            name,
            Kind.TEXT if multi or not kind else Kind(kind),
            ref or None,
            multi,
            word.endswith("!"),
        )
    return columns


_VENDOR = """id:int! entityid companyname altname isperson:flag firstname middlename lastname
legalname printoncheckas email phone url currency:int>currency terms:int>term category:int
payablesaccount:int>account expenseaccount:int>account accountnumber isinactive:flag externalid
datecreated:instant lastmodifieddate:instant defaultbillingaddress:int
representingsubsidiary:int>subsidiary subsidiary:int>subsidiary"""
_VENDOR_SUBSIDIARY = """id:int! entity:int>vendor subsidiary:int>subsidiary isprimarysub:flag
primarycurrency:int>currency balance:num creditlimit:num unbilledorders:num
lastmodifieddate:instant"""
_ACCOUNT = """id:int! acctnumber accttype fullname acctname accountsearchdisplayname
accountsearchdisplaynamecopy displaynamewithhierarchy description parent:int>account
isinactive:flag issummary:flag eliminate:flag sspecacct currency:int>currency
class:int>classification department:int>department location:int>location
subsidiary:multi>subsidiary includechildren:flag generalrate cashflowrate externalid
lastmodifieddate:instant"""
_SEGMENT = """id:int! name fullname parent:int>{table} isinactive:flag includechildren:flag
subsidiary:multi>subsidiary externalid lastmodifieddate:instant"""
_SUBSIDIARY = """id:int! name fullname legalname parent:int>subsidiary currency:int>currency
country iselimination:flag isinactive:flag externalid lastmodifieddate:instant"""
_ITEM = """id:int! itemid displayname fullname itemtype subtype description purchasedescription
expenseaccount:int>account assetaccount:int>account incomeaccount:int>account isinactive:flag
externalid lastmodifieddate:instant"""
_CURRENCY = """id:int! symbol name displaysymbol currencyprecision:int exchangerate:num
isbasecurrency:flag isinactive:flag externalid lastmodifieddate:instant"""
_PERIOD = """id:int! periodname startdate:date enddate:date closed:flag isposting:flag
isquarter:flag isyear:flag isadjust:flag aplocked:flag arlocked:flag alllocked:flag
parent:int>accountingperiod lastmodifieddate:instant"""
_TERM = "id:int! name daysuntilnetdue:int isinactive:flag externalid lastmodifieddate:instant"
_DELETED = """recordid:int recordtypeid:int scriptid type name deleteddate:instant deletedby:int
context iscustomrecord:flag iscustomlist:flag iscustomtransaction:flag"""
_TRANSACTION = """id:int! type recordtype tranid transactionnumber trandisplayname externalid
entity:int>vendor trandate:date duedate:date closedate:date status approvalstatus:int posting:flag
postingperiod:int>accountingperiod currency:int>currency exchangerate:num foreigntotal:num
foreignamountpaid:num foreignamountunpaid:num memo terms:int>term otherrefnum void:flag voided:flag
isreversal:flag reversal:int>transaction intercoadj:flag createdby:int createddate:instant
lastmodifiedby:int lastmodifieddate:instant paymenthold:flag subsidiary:int>subsidiary
department:int>department class:int>classification location:int>location
createdfrom:int>transaction"""
_LINE = """transaction:int>transaction! id:int! uniquekey:int linesequencenumber:int mainline:flag
taxline:flag iscogs:flag item:int>item itemtype quantity:num rate:num foreignamount:num
netamount:num creditforeignamount:num debitforeignamount:num expenseaccount:int>account
accountinglinetype transactionlinetype memo entity:int>vendor department:int>department
class:int>classification location:int>location subsidiary:int>subsidiary
createdfrom:int>transaction quantitybilled:num quantityshiprecv:num quantityrejected:num
isclosed:flag isbillable:flag eliminate:flag linelastmodifieddate:instant linecreateddate:instant
units"""
_POSTING = """accountingbook:int>accountingbook! transaction:int>transaction! transactionline:int!
account:int>account debit:num credit:num amount:num netamount:num posting:flag exchangerate:num
amountpaid:num amountunpaid:num amountlinked:num paymentamountused:num paymentamountunused:num
processedbyrevcommit:flag lastmodifieddate:instant"""
_LINE_LINK = """previousdoc:int>transaction previousline:int previoustype nextdoc:int>transaction
nextline:int nexttype linktype foreignamount:num lastmodifieddate:instant"""
_DOC_LINK = """previousdoc:int>transaction previoustype nextdoc:int>transaction nexttype linktype
lastmodifieddate:instant"""
CUSTOM_RECORD = """id:int! name externalid isinactive:flag owner:int created:instant
lastmodified:instant"""

_NAME = "COALESCE({r}.fullname, {r}.name)"
_STAMP = "lastmodifieddate"
_MODIFIED = ((_STAMP,),)


def _segment(name: str) -> Table:
    return Table(name, parse_columns(_SEGMENT.format(table=name)), _NAME, stamp=_STAMP)


_ALL = (
    Table("vendor", parse_columns(_VENDOR), "COALESCE({r}.entityid, {r}.companyname)",
          _MODIFIED, _STAMP),
    Table("vendorsubsidiaryrelationship", parse_columns(_VENDOR_SUBSIDIARY), None,
          (("entity",),), _STAMP),
    Table("account", parse_columns(_ACCOUNT),
          "COALESCE({r}.accountsearchdisplayname, "
          "{r}.acctnumber || ' ' || {r}.fullname, {r}.fullname)",
          (), _STAMP),
    _segment("department"), _segment("classification"), _segment("location"),
    Table("subsidiary", parse_columns(_SUBSIDIARY), _NAME, stamp=_STAMP),
    Table("item", parse_columns(_ITEM), "{r}.itemid", stamp=_STAMP),
    Table("currency", parse_columns(_CURRENCY), "{r}.name", stamp=_STAMP),
    Table("accountingperiod", parse_columns(_PERIOD), "{r}.periodname", stamp=_STAMP),
    Table("accountingbook", parse_columns("id:int! name isprimary:flag"), "{r}.name"),
    Table("term", parse_columns(_TERM), "{r}.name", stamp=_STAMP),
    Table("deletedrecord", parse_columns(_DELETED), None, (("deleteddate",),)),
    Table("transaction", parse_columns(_TRANSACTION),
          "COALESCE({r}.trandisplayname, {r}.tranid, {r}.transactionnumber)",
          (*_MODIFIED, ("entity",), ("trandate",)), _STAMP),
    Table("transactionline", parse_columns(_LINE), None,
          (("linelastmodifieddate",), ("createdfrom",)), "linelastmodifieddate", ("uniquekey",)),
    Table("transactionaccountingline", parse_columns(_POSTING), None,
          (*_MODIFIED, ("transaction", "transactionline")), _STAMP),
    Table("nexttransactionlinelink", parse_columns(_LINE_LINK), None,
          (("previousdoc",), ("nextdoc",)), _STAMP,
          ("previousdoc", "previousline", "nextdoc", "nextline", "linktype")),
    Table("previoustransactionlinelink", parse_columns(_LINE_LINK),
          view_of="nexttransactionlinelink"),
    Table("nexttransactionlink", parse_columns(_DOC_LINK), view_of="nexttransactionlinelink"),
    Table("previoustransactionlink", parse_columns(_DOC_LINK), view_of="nexttransactionlinelink"),
)  # fmt: skip
TABLES: dict[str, Table] = {table.name: table for table in _ALL}

# Selectable in some accounts and "NOT_EXPOSED" in others: hidden unless an option says otherwise,
# so that nothing comes to rely on them (docs/facts/netsuite.md 6.1 and 6.2).
DEFAULT_HIDDEN_COLUMNS = frozenset(
    {
        "transaction.subsidiary",
        "transaction.department",
        "transaction.class",
        "transaction.location",
        "transaction.createdfrom",
        "account.acctname",
        "vendor.subsidiary",
    }
)
