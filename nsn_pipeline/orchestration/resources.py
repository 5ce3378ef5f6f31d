"""The Dagster resource: it holds no secret, so none can be shown; it opens connections per step."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dagster as dg
from pydantic import PrivateAttr

from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor.finding import Status
from nsn_pipeline.doctor.preflight import forget, preflight
from nsn_pipeline.errors import (
    AuthenticationError,
    NsnError,
    PermissionDeniedError,
    TransientError,
)
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
        with self.opened(context.run.run_id) as connections, _examined_anew(connections):
            _check(context, connections)
            yield connections

    @contextmanager
    def opened_to_read(self, context: dg.AssetExecutionContext) -> Iterator[Connections]:
        """As `opened_to_write`: a missing column is told before hours of reading, not after.

        An outage of one system does not keep the other from being read.
        """
        with self.opened(context.run.run_id) as connections, _examined_anew(connections):
            try:
                _check(context, connections)
            except TransientError as error:
                context.log.warning("the pre-flight waits for the first write: %s", error)
            yield connections


def _check(context: dg.AssetExecutionContext, connections: Connections) -> None:
    for finding in preflight(connections):
        if finding.status is Status.WARN:
            context.log.warning("%s: %s %s", finding.title, finding.detail, finding.remedy)


@contextmanager
def _examined_anew(connections: Connections) -> Iterator[None]:
    """A step that is refused its login or a record ends the trust in an earlier clean bill."""
    try:
        yield
    except (AuthenticationError, PermissionDeniedError):
        with suppress(NsnError):
            forget(connections)
        raise
