"""What an audit trail costs, and that one flipped byte in it is found.

`python -m nsn_pipeline_tests.benchmarks.trail` makes one of 200,000 bills over two years, each read
ten times; with a folder (`NSN_HOME/audit/<pair>`) it measures a copy of the trail that is there.
The figures in `docs/audit-trail.md` are its. Seconds are of the processor, as disks differ.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from nsn_pipeline.audit.trail_chain import Verification
from nsn_pipeline.audit.trail_entry import Draft, Event
from nsn_pipeline.state.trail import Trail

DOCUMENTS, DAYS, REREAD = 200_000, 730, 10
OWNER = {"account": "1234567", "instance": "dev1", "profile": "seed"}
RUN = "6f1c2b7e-6d3e-4a57-9d0a-0c5d8a2f{:04x}"
SEED = 7


def bill(document_id: str, run: str) -> Iterator[Draft]:
    """Header and one line, as the seed profile sends them."""
    header = {
        "supplier_invoice_number": f"INV-{document_id}", "supplier": "a" * 32,
        "invoice_date": "2026-03-02", "due_date": "2026-04-01", "currency": "GBP",
        "total_amount": "GBP;1250.00", "u_total_amount": "1250.00", "status": "posted",
        "u_netsuite_number": f"VENDBILL{document_id}", "purchase_order": "b" * 32,
        "u_netsuite_url": f"https://1234567.app.netsuite.com/app/x.nl?id={document_id}",
        "u_netsuite_id": document_id,
    }  # fmt: skip
    line = {
        "invoice": "c" * 32, "gl_account": "d" * 32, "cost_center": "e" * 32, "line_number": "1",
        "line_amount": "GBP;1250.00", "u_line_amount": "1250.00", "quantity": "1",
        "short_description": "Hosting March", "u_netsuite_id": f"{document_id}-1",
    }  # fmt: skip
    for table, fields in (("sn_apo_invoice", header), ("sn_apo_invoice_line", line)):
        record = {
            "key": fields["u_netsuite_id"],
            "sys_id": "f" * 32,
            "kind": "create",
            "fields": {name: ("", value) for name, value in fields.items()},
        }
        data = {"table": table, "records": [record]}
        yield Draft(Event.SENDING, run, "vendor_bill", document_id=document_id, data=data)


def filled(folder: Path) -> float:
    """A trail as two years of days leave it; the milliseconds one thousand new bills took."""
    trail = Trail(folder, owner=OWNER)
    spent = 0.0
    for day in range(DAYS):
        ids = tuple(str(4_000_000 + n) for n in range(DOCUMENTS) if n % DAYS == day)
        for attempt in range(REREAD):
            run = RUN.format(attempt)
            outcome = Event.UNCHANGED if attempt else Event.WRITTEN
            told = (run, "vendor_bill", f"day{day}", None, ids)
            started = time.process_time()
            trail.append([Draft(Event.ACCEPTED, *told)])
            if not attempt:
                trail.append(draft for one in ids for draft in bill(one, run))
            trail.append([Draft(outcome, *told)])
            spent += (time.process_time() - started) if not attempt else 0.0
    trail.close()
    return spent / DOCUMENTS * 1000 * 1000


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def flipped(trail: Trail) -> tuple[str, Verification]:
    """Flip one bit of one byte, drawn at random, and look for it."""
    draw = Random(SEED)  # noqa: S311
    segment = draw.choice(trail.segments())
    path = trail.folder / f"trail-{segment:06}.jsonl"
    content = bytearray(path.read_bytes())
    position = draw.randrange(len(content))
    content[position] ^= 1
    path.write_bytes(content)
    line = content[:position].count(b"\n") + 1
    return f"{path.name} line {line} (byte {position:,})", trail.verify()


def main() -> None:
    """Print the figures of a made trail, or of a copy of the one given."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "trail"
        if len(sys.argv) > 1:
            shutil.copytree(sys.argv[1], folder)
        else:
            print(f"a thousand new bills, written down: {filled(folder):,.0f} ms")
        trail = Trail(folder, owner=OWNER)
        seconds, found = timed(trail.verify)
        rebuild, counts = timed(trail.rebuild_index)
        index = sum(one.stat().st_size for one in folder.glob("index.sqlite*"))
        documents = counts["documents"]
        print(f"entries {found.entries:,} in {len(found.segments)} segments, {found.bytes:,} bytes")
        print(f"documents {documents:,}: {found.bytes / documents:,.0f} bytes each, "
              f"and {index / documents:,.0f} in the index")  # fmt: skip
        print(f"the chain {'holds' if found.intact else 'DOES NOT HOLD'}: {seconds:.2f} s")
        print(f"index made again: {rebuild:.1f} s")
        last = next(entry for entry in trail.entries() if entry.document_id)
        assert last.document_id is not None
        story, entries = timed(lambda: trail.story(last.record_type, last.document_id or ""))
        print(f"the {len(entries)} entries of one document: {story * 1000:.1f} ms")
        where, broken = flipped(trail)
        print(f"flipped one bit in {where}:")
        for fault in broken.faults:
            print(f"  {fault.kind}: {fault.segment} line {fault.line}, entry {fault.seq}")


if __name__ == "__main__":
    main()
