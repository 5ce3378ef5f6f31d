"""Sends a request to the API it is for, and turns refusals into answers."""

import re
from dataclasses import replace
from urllib.parse import unquote

from nsn_pipeline.sandbox.servicenow import refusals, ui_api
from nsn_pipeline.sandbox.servicenow.batch_api import BatchApi
from nsn_pipeline.sandbox.servicenow.import_api import ImportApi
from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.messages import Call, Reply, refused
from nsn_pipeline.sandbox.servicenow.options import Fault, RequestInfo
from nsn_pipeline.sandbox.servicenow.refusals import Refusal
from nsn_pipeline.sandbox.servicenow.stats_api import StatsApi
from nsn_pipeline.sandbox.servicenow.table_api import TableApi
from nsn_pipeline.sandbox.servicenow.writes import Writer

PATH = re.compile(
    r"/api/now(?:/(?P<version>v[12]))?/(?P<api>table|stats|import|batch|ui)(?P<rest>/.*)?"
)
MOST_PARTS = {"table": 2, "stats": 1, "import": 2, "batch": 0, "ui": 2}


class Service:
    """Everything behind authentication. One call at a time: it takes the store's lock."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.writer = Writer(instance)
        self.tables = TableApi(instance, self.writer)
        self.stats = StatsApi(instance, self.tables)
        self.imports = ImportApi(instance, self.writer)
        self.batches = BatchApi(instance, self._batch_item)
        self.requests = 0

    def perform(self, call: Call, *, keep: bool = True) -> Reply:
        """Run one HTTP call; `keep=False` undoes what it did before anybody can see it."""
        store = self.instance.store
        with store.lock:
            try:
                reply = self._answer(call, inside_batch=False)
            except Exception:
                self._undo()  # or the next request would keep half of this one
                raise
            if keep:
                store.commit()
            else:
                self._undo()
        return reply

    def fault_for(self, request: RequestInfo) -> Fault | None:
        """Ask the hook. Requests are numbered from 1, items of Batch calls among them."""
        hook = self.instance.options.fault_hook
        if hook is None:
            return None
        self.requests += 1
        return hook(replace(request, number=self.requests))

    def _undo(self) -> None:
        self.instance.store.rollback()
        self.writer.rules.forget()

    def _answer(self, call: Call, *, inside_batch: bool) -> Reply:
        try:
            return self._route(call, inside_batch=inside_batch)
        except Refusal as refusal:
            return refused(refusal)

    def _route(self, call: Call, *, inside_batch: bool) -> Reply:
        path = unquote(call.path) if "%" in call.path else call.path
        match = PATH.fullmatch(path.rstrip("/"))
        if match is None:
            raise refusals.unknown_path(call.path)
        api, version = match["api"], match["version"] or ""
        parts = [part for part in (match["rest"] or "").split("/") if part]
        lowest = 0 if api == "batch" else 1
        if not lowest <= len(parts) <= MOST_PARTS[api]:
            raise refusals.unknown_path(call.path)
        name, extra = (*parts, "", "")[:2]
        if api == "table":
            return self.tables.handle(call, version, name, extra)
        if api == "stats":
            return self.stats.handle(call, name)
        if api == "import":
            return self.imports.handle(call, name, extra)
        if api == "ui":
            return ui_api.handle(self.instance, call, parts)
        if inside_batch:
            raise refusals.unknown_path(call.path)
        return self.batches.handle(call)

    def _batch_item(self, call: Call, item_id: str) -> Reply | None:
        if self.instance.options.fault_hook is None:
            return self._answer(call, inside_batch=True)
        fault = self.fault_for(
            RequestInfo(0, call.method, call.path, call.query, call.headers, call.body, item_id)
        )
        if fault is None:
            return self._answer(call, inside_batch=True)
        reply = spec_reply(fault)
        if fault.work != "none" or fault.answer == "real":
            self.instance.store.commit()  # an undo must not reach back to earlier items
            real = self._answer(call, inside_batch=True)
            if fault.work == "undo":
                self._undo()
            reply = real if fault.answer == "real" or fault.work == "undo" else reply
        return None if fault.answer in {"drop", "truncate"} else reply


def spec_reply(fault: Fault) -> Reply:
    headers = [("content-type", fault.content_type)] if fault.body else []
    headers += [(name.lower(), value) for name, value in fault.headers.items()]
    return Reply(fault.status, fault.body, headers)
