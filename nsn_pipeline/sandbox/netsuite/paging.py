"""`limit` and `offset`, and the envelope that all collections share (facts 4.2, 4.3)."""

from collections.abc import Mapping
from typing import Any

from nsn_pipeline.sandbox.netsuite.errors import bad_parameter

MAX_LIMIT = 1000


def paging(query: Mapping[str, str]) -> tuple[int, int]:
    """`limit` and `offset`; the defaults are a thousand and none."""
    values: list[int] = []
    for name, default in (("limit", str(MAX_LIMIT)), ("offset", "0")):
        text = query.get(name, default)
        if not text.isdigit():
            raise bad_parameter(name, f"Invalid value for the {name} parameter: {text}.")
        values.append(int(text))
    limit, offset = values
    if not 1 <= limit <= MAX_LIMIT:
        raise bad_parameter("limit", f"Invalid value for the limit parameter: {limit}.")
    if offset % limit:
        raise bad_parameter(
            "offset", f"The offset ({offset}) must be divisible by the limit ({limit})."
        )
    return limit, offset


def envelope(
    url: str,
    items: list[dict[str, Any]],
    *,
    limit: int,
    offset: int,
    total: int,
    reachable: int,
) -> dict[str, Any]:
    """A page: `reachable` rows can be paged to, `total` there are."""

    def link(rel: str, at: int) -> dict[str, str]:
        return {"rel": rel, "href": f"{url}?limit={limit}&offset={at}"}

    more = offset + len(items) < reachable
    links: list[dict[str, str]] = []
    if offset > 0:
        links += [link("prev", max(offset - limit, 0)), link("first", 0)]
    if more:
        links += [link("next", offset + limit), link("last", (reachable - 1) // limit * limit)]
    links.append(link("self", offset))
    return {
        "links": links, "count": len(items), "hasMore": more, "items": items,
        "offset": offset, "totalResults": total,
    }  # fmt: skip
