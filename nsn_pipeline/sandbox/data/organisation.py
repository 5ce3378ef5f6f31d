"""Departments (cost centers), classes and locations. Codes are stable: documentation names them."""

from dataclasses import dataclass

from nsn_pipeline.sandbox.data.company import (
    AMERICAS,
    BRITAIN,
    EUROPE,
    JAPAN,
    PARENT,
    Company,
    Office,
)


@dataclass(frozen=True, slots=True)
class Department:
    id: str
    code: str  # NetSuite's `externalid`, ServiceNow's `code`
    name: str
    parent: "Department | None"
    offices: tuple[Office, ...]
    inactive: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.parent.full_name} : {self.name}" if self.parent else self.name


@dataclass(frozen=True, slots=True)
class Place:
    """A class or a location."""

    id: str
    name: str
    code: str
    offices: tuple[Office, ...] = ()


# code | parent | name | offices (empty: all) | I = inactive
_DEPARTMENTS = """
CC-100||Corporate||
CC-110|CC-100|Finance||
CC-111|CC-110|Accounts Payable||
CC-112|CC-110|Treasury|1|
CC-120|CC-100|Legal|1|
CC-130|CC-100|People||
CC-140|CC-100|Information Technology||
CC-141|CC-140|Infrastructure||
CC-142|CC-140|Business Applications||
CC-150|CC-100|Facilities||
CC-200||Manufacturing||
CC-210|CC-200|Casting|2,3,4,5|
CC-220|CC-200|Machining|2,3,4,5|
CC-230|CC-200|Assembly|2,4|
CC-240|CC-200|Quality||
CC-241|CC-240|Incoming Inspection||
CC-245|CC-240|Calibration Laboratory||
CC-250|CC-200|Plant Maintenance||
CC-300||Supply Chain||
CC-310|CC-300|Procurement||
CC-320|CC-300|Warehouse||
CC-330|CC-300|Freight Desk||
CC-340|CC-300|Planning||
CC-400||Commercial||
CC-410|CC-400|Sales Americas|1,2|
CC-420|CC-400|Sales UK & Ireland|3|
CC-430|CC-400|Sales Europe|4|
CC-440|CC-400|Sales Japan|5|
CC-450|CC-400|Marketing||
CC-460|CC-400|Customer Service||
CC-500||Engineering||
CC-510|CC-500|Product Design||
CC-520|CC-500|Prototype Shop||
CC-530|CC-500|Test Laboratory||
CC-590|CC-500|Old Research||I
"""


def departments(company: Company) -> dict[str, Department]:
    found: dict[str, Department] = {}
    by_id = {office.id: office for office in company.offices}
    for position, line in enumerate(_DEPARTMENTS.strip("\n").splitlines()):
        code, parent, name, offices, mark = line.split("|")
        used_by = tuple(by_id[office] for office in offices.split(",") if office in by_id)
        found[code] = Department(
            id=str(11 + position),
            code=code,
            name=name,
            parent=found.get(parent),
            offices=used_by if company.multi and used_by else company.offices,
            inactive=mark == "I",
        )
    return found


CLASSES = (
    Place("1", "Automotive", "AUTO"),
    Place("2", "Aerospace", "AERO"),
    Place("3", "Energy", "ENER"),
    Place("4", "Overhead", "OVHD"),
)
LOCATIONS = (
    Place("1", "Akron Head Office", "AKR", (PARENT, AMERICAS)),
    Place("2", "Toledo Foundry", "TOL", (AMERICAS,)),
    Place("3", "Sheffield Works", "SHF", (BRITAIN,)),
    Place("4", "Werk Bochum", "BOC", (EUROPE,)),
    Place("5", "名古屋工場", "NGO", (JAPAN,)),
)
