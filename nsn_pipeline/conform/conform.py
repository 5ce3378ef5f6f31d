"""Turns canonical documents into what ServiceNow should hold, or into the reasons why not."""

from collections.abc import Callable

from nsn_pipeline.conform.dimensions import conform_dimension
from nsn_pipeline.conform.documents import conform_documents
from nsn_pipeline.conform.entities import conform_entities
from nsn_pipeline.conform.outcome import Context, Documents, Outcome
from nsn_pipeline.conform.postings import conform_postings
from nsn_pipeline.profiles.model import Profile, Target
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import Shape

_BY_SHAPE: dict[Shape, Callable[[Documents, Target, Context, Profile], Outcome]] = {
    "document": conform_documents,
    "entity": conform_entities,
    "dimension": conform_dimension,
    "posting": conform_postings,
}


def conform(documents: Documents, target: Target, context: Context, profile: Profile) -> Outcome:
    """Judge every document whole: accepted + rejected = read, always.

    Pure: no I/O, no clock. Accepted frames hold Table API text (null is the empty text), amounts at
    the currency's own number of decimals, and references either as a sys_id or as
    `ref:<record type>:<external key>` where the record is one we load ourselves. A document with
    any problem is rejected with all of them. Never raises on data; a wrong profile is refused when
    it is loaded.
    """
    return _BY_SHAPE[REGISTRY[target.record_type].shape](documents, target, context, profile)
