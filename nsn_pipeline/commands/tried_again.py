"""A refused login is let go by what a person does about it."""

from collections.abc import Iterable, Mapping

from nsn_pipeline.connections import Connections
from nsn_pipeline.errors import ConfigurationError, NsnError, TransientError
from nsn_pipeline.settings import ProjectSettings, load_settings

SILENT = "the state server does not answer"
NOT_TOLD = (
    "If this login was refused before, it is tried again within half an hour, or after `nsn doctor`"
)


def found_in_order(environment: Mapping[str, str], systems: Iterable[str]) -> None:
    """These logins work: jobs that wait after a refusal go on."""
    with Connections(load_settings(environment), run_id="doctor") as held:
        for system in systems:
            held.guards[system].forget()


def have_tried(environment: Mapping[str, str], system: str) -> str:
    """The next job tries this login at once, whatever was refused; a note when it may not."""
    try:
        settings = load_settings(environment)
    except ConfigurationError:  # not complete yet: nothing can have logged in with it
        return ""
    if not _has_state(settings.project):
        return ""
    try:
        with Connections(settings, run_id="credentials") as held:
            held.redis.client  # noqa: B018  the guards do without it when it does not answer
            held.guards[system].try_again()
    except TransientError:
        return f"{SILENT}. {NOT_TOLD}"
    except NsnError as error:  # it answers, and refuses
        return f"{error}. {NOT_TOLD}"
    return ""


def _has_state(project: ProjectSettings) -> bool:
    """Whether there can be anything to let go: an embedded server is not started for nothing."""
    return project.redis_url is not None or (project.home / "redis").exists()
