# ruff: noqa: SIM905  (a word list reads better as a sentence than as a column of quotes)
"""The chart of accounts. Numbers are stable: documentation and demos name them."""

from dataclasses import dataclass

from nsn_pipeline.sandbox.data.company import BRITAIN, EUROPE, JAPAN, Company, Office

# number | type | name | marks: S summary, I inactive, E eliminated between subsidiaries, X has no
# number of its own, GB/DE/JP used by that office only. Indented = child of the last summary.
_CHART = """
1010|Bank|Operating Account USD|
1020|Bank|Operating Account GBP|GB
1030|Bank|Operating Account EUR|DE
1040|Bank|Operating Account JPY|JP
1090|Bank|Petty Cash|I
1100|AcctRec|Trade Receivables|
1190|AcctRec|Intercompany Receivables|E
1300|OthCurrAsset|Inventory|S
 1310|OthCurrAsset|Raw Materials|
 1320|OthCurrAsset|Work in Progress|
 1330|OthCurrAsset|Finished Goods|
 1340|OthCurrAsset|Spare Parts and Consumables|
1400|OthCurrAsset|Prepaid Expenses|
1410|OthCurrAsset|Prepaid Insurance|
1510|OthCurrAsset|VAT Recoverable UK|GB
1520|OthCurrAsset|Vorsteuer|DE
1530|OthCurrAsset|Consumption Tax Paid|JP
1600|FixedAsset|Property, Plant and Equipment|S
 1610|FixedAsset|Buildings|
 1620|FixedAsset|Plant and Machinery|
 1630|FixedAsset|Tooling and Moulds|
 1640|FixedAsset|Vehicles|
 1650|FixedAsset|IT Equipment|
 1690|FixedAsset|Accumulated Depreciation|
 1695|FixedAsset|Right-of-use Assets|
2000|AcctPay|Accounts Payable|
2010|AcctPay|Intercompany Payables|E
2110|OthCurrLiab|Accrued Purchases|
2120|OthCurrLiab|Accrued Expenses|
2130|OthCurrLiab|Payroll Liabilities|
2140|OthCurrLiab|Output Tax Payable|
2150|OthCurrLiab|Lease Liabilities|
2500|LongTermLiab|Bank Loans|
3000|Equity|Share Capital|
3100|Equity|Retained Earnings|
3900|Equity|Cumulative Translation Adjustment|
4000|Income|Revenue|S
 4010|Income|Product Sales|
 4020|Income|Tooling and Service Sales|
 4090|Income|Intercompany Sales|E
5000|COGS|Cost of Goods Sold|S
 5010|COGS|Materials Consumed|
 5020|COGS|Direct Labour|
 5030|COGS|Subcontracted Work|
 5040|COGS|Freight In|
 5050|COGS|Scrap and Rework|
 5060|COGS|Purchase Price Variance|
 5090|COGS|Intercompany Purchases|E
6000|Expense|Operating Expenses|S
 6010|Expense|Salaries and Wages|
 6110|Expense|Electricity|
 6120|Expense|Gas|
 6130|Expense|Water and Waste|
 6210|Expense|Building Maintenance|
 6220|Expense|Machine Maintenance|
 6230|Expense|Cleaning|
 6310|Expense|Rent|
 6320|Expense|Property Insurance|
 6410|Expense|Advertising|
 6420|Expense|Hosting and Cloud Services|
 6455|Expense|Trade Shows and Events|
 6510|Expense|Software Licences|
 6520|Expense|IT Consumables|
 6530|Expense|Telephone and Internet|
 6540|Expense|Small Tools|
 6610|Expense|Legal Fees|
 6620|Expense|Audit and Accounting Fees|
 6630|Expense|Consulting|
 6640|Expense|Temporary Staff|
 6710|Expense|Travel|
 6720|Expense|Meals and Entertainment|
 6730|Expense|Training|
 6810|Expense|Office Supplies|
 6820|Expense|Postage and Courier|
 6830|Expense|Telex and Fax|I
 6910|Expense|Bank Charges|
7000|OthExpense|Other Costs|S
 7110|OthExpense|Realised Exchange Differences|
 7160|OthExpense|Calibration and Testing Services|
 7190|OthExpense|Old Plant Clearance|I
9998|Expense|Suspense (do not use)|IX
9999|NonPosting|Purchase Orders|X
"""

MAIN_PAYABLES = "2000"
INTERCOMPANY_PAYABLES = "2010"
ACCRUED_PURCHASES = "2110"
PURCHASE_ORDERS = "9999"

# Accounts that people post bills to by hand, most used first.
EXPENSE_ACCOUNTS = tuple(
    "6220 6510 5040 6420 6110 6640 6210 6630 6540 6120 6810 6710 5030 6230 6820 6530 6310 6610"
    " 6520 6730 6410 6620 6130 1400 6720 1410 6320 1620 1650 1630".split()
)


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    code: str
    type: str
    name: str
    parent: "Account | None"
    offices: tuple[Office, ...]
    inactive: bool
    summary: bool
    eliminate: bool
    numbered: bool

    @property
    def number(self) -> str | None:
        """Numbering is optional: a few accounts have none (`docs/facts/netsuite.md` 6.1)."""
        return self.code if self.numbered else None

    @property
    def full_name(self) -> str:
        return f"{self.parent.full_name} : {self.name}" if self.parent else self.name


def accounts(company: Company) -> dict[str, Account]:
    """The chart by code; ids are NetSuite's own and deliberately unlike the numbers."""
    found: dict[str, Account] = {}
    summary: Account | None = None
    local = {"GB": BRITAIN, "DE": EUROPE, "JP": JAPAN}
    for position, line in enumerate(_CHART.strip("\n").splitlines()):
        code, kind, name, marks = line.strip().split("|")
        office = local.get(marks)
        flags = "" if office else marks
        if (office or "E" in flags) and not company.multi:
            continue
        account = Account(
            id=str(111 + position * 3),
            code=code,
            type=kind,
            name=name,
            parent=summary if line.startswith(" ") else None,
            offices=(office,) if office else company.offices,
            inactive="I" in flags,
            summary="S" in flags,
            eliminate="E" in flags,
            numbered="X" not in flags,
        )
        found[code] = account
        if account.summary:
            summary = account
    return found
