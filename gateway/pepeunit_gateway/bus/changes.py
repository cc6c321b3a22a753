"""What the parts tell each other after a commit. Every change says only which entities to look at again."""

from enum import StrEnum

__all__ = ["Change"]


class Change(StrEnum):
    """The kinds of changes; each goes with the uuids of the entities named here."""

    ACCESS = "access"  # units whose grants may differ now
    UNIT_REMOVED = "unit_removed"  # units that are gone or whose token was revoked
    NODE = "node"  # unit nodes whose pipe configuration may differ or that are gone
    OUTBOX = "outbox"  # units for which a command waits
    REPOSITORY = "repository"  # repository registries in which a fetch found something new
    JOB = "job"  # jobs to be run soon, by the uuids of registry/job_runs.py
