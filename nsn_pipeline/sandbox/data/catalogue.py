"""Items, payment terms and the words documents are made of."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    code: str
    name: str
    kind: str  # NetSuite's itemtype
    expense: str | None  # account codes
    asset: str | None
    price_usd: Decimal

    @property
    def stocked(self) -> bool:
        return self.kind == "InvtPart"


@dataclass(frozen=True, slots=True)
class Term:
    id: str
    name: str
    days: int


TERMS = (
    Term("1", "Net 15", 15),
    Term("2", "Net 30", 30),
    Term("3", "Net 60", 60),
    Term("4", "Due on receipt", 0),
)

# code | name | kind | expense account | asset account | price in USD
_ITEMS = """
ALU-A356|Aluminium ingot A356, 12 kg|InvtPart|5010|1310|38.40
ALU-A380|Aluminium ingot A380, 12 kg|InvtPart|5010|1310|36.15
FE-GJL250|Grey iron charge GJL-250|InvtPart|5010|1310|21.70
SAND-AFS55|Foundry sand AFS 55, 25 kg|InvtPart|5010|1310|6.25
RESIN-FU2|Furan resin "FU 2"|InvtPart|5010|1310|118.00
CORE-114|Core box 114|InvtPart|5010|1320|640.00
BRG-6204|Ball bearing 6204-2RS|InvtPart|5010|1340|4.85
SEAL-V40|V-seal 40 mm (Ø40)|InvtPart|5010|1340|1.2375
FLT-HYD10|Hydraulic filter 10 µm|InvtPart|5010|1340|52.30
END-MILL10|End mill 10 mm, 4 flutes|NonInvtPart|6540||27.90
INSERT-CNMG|Turning insert CNMG 120408|NonInvtPart|6540||7.4525
GLOVE-HT|Heat gloves, pair|NonInvtPart|6540||18.60
OIL-HLP46|Hydraulic oil HLP 46, 205 l|NonInvtPart|6220||412.00
PALLET-EU|Pallet 1200 x 800|NonInvtPart|5040||11.80
LAPTOP-14|Laptop 14 inch|NonInvtPart|6520||1190.00
TONER-BK|Toner, black|NonInvtPart|6810||86.00
SVC-MAINT|Machine service, hour|Service|6220||94.50
SVC-CLEAN|Cleaning, hour|Service|6230||31.25
SVC-TEMP|Temporary operator, hour|Service|6640||34.75
SVC-HEAT|Heat treatment, per batch|Service|5030||286.00
FREIGHT|Freight|OthCharge|5040||145.00
"""
GAP_ITEM = Item("899", "SVC-CALIB", "Gauge calibration", "Service", "7160", None, Decimal("64.00"))


@cache
def items() -> tuple[Item, ...]:
    found: list[Item] = []
    for position, line in enumerate(_ITEMS.strip("\n").splitlines()):
        code, name, kind, expense, asset, price = line.split("|")
        found.append(
            Item(
                str(801 + position),
                code,
                name,
                kind,
                expense or None,
                asset or None,
                Decimal(price),
            )
        )
    return tuple(found)


def asset_code(item_id: str | None) -> str | None:
    """The asset account of a stock item; None for everything else."""
    return next((one.asset for one in items() if one.id == item_id), None)


def posting_code(item: Item, accrued: str) -> str:
    """Where a bill for the item is posted.

    Stock was booked when it was received, so its bill clears accrued purchases: a pipeline that
    reads the item's own account instead of the posting gets this wrong.
    """
    return accrued if item.stocked else str(item.expense)


MEMO_WORDS = (
    "Hosting {month}",
    "Service call, line 4",
    "Repair of press 12",
    "Monthly charge {month}",
    "Delivery note {number}",
    "Contract {number}, {month}",
    "Kalibrierung Messmittel",
    "Überprüfung Kran 3",
    "定期点検 {month}",
    "Café & canteen supplies",
    "2 x filter; 1 x seal",
    'Part "B", see drawing {number}',
    "Urgent ⚠ replacement",
    "Freight^insurance^handling",
    "=SUM of call-outs {month}",
    "-5% agreed discount applied",
    "@site visit {month}",
)
LONG_MEMO = (
    "Framework contract 2026 for preventive maintenance of the high-pressure die-casting cells 1 to"
    " 9, including spare parts, travel and out-of-hours call-outs as agreed with the plant manager;"
    " see attachment for the breakdown by cell and week"
)
