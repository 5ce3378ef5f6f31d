"""The Dagster resource: it holds no secret, so none can be shown; it opens connections per step."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import PrivateAttr

from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor.finding import Status
from nsn_pipeline.doctor.preflight import preflight
from nsn_pipeline.orchestration.planning import is_plan
from nsn_pipeline.settings import load_settings

OWNERS = ["team:finance-systems"]


class SystemsResource(dg.ConfigurableResource):
    """NetSuite, ServiceNow, Redis and the landing files, from the environment at run time.

    Credentials are read when a step opens its connections, never into resource configuration:
    Dagster prints that in the UI.
    """

    _is_plan: bool = PrivateAttr(default=False)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Learn whether the run this serves plans only."""
        self._is_plan = is_plan(context.run)

    @contextmanager
    def opened(self, run_id: str, *, brief: bool = False) -> Iterator[Connections]:
        """Connections for one step or tick; closed when it ends, also on failure."""
        settings, is_plan = load_settings(), self._is_plan
        with Connections(settings, run_id=run_id, is_plan=is_plan, brief=brief) as connections:
            yield connections

    @contextmanager
    def opened_to_write(self, context: dg.AssetExecutionContext) -> Iterator[Connections]:
        """As `opened`, after the pre-flight: a half-configured system stops before a write.

        Its result is cached for ten minutes, so that it costs seconds per job and not per step.
        """
        with self.opened(context.run.run_id) as connections:
            for finding in preflight(connections):
                if finding.status is Status.WARN:
                    context.log.warning("%s: %s %s", finding.title, finding.detail, finding.remedy)
            yield connections
