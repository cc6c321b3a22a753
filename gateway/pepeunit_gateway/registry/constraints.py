"""Turn what the database refuses into the error that a client understands (W31)."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import IntegrityError

from pepeunit_gateway.errors import ApiError, ValidationError

__all__ = ["unique"]


@contextmanager
def unique(error: ApiError) -> Iterator[None]:
    """Raise `error` where a uniqueness rule is broken inside the block.

    Raises:
        ValidationError: a foreign key names a row that has gone meanwhile.
    """
    try:
        yield
    except IntegrityError as cause:
        text = str(cause.orig).lower()
        if "unique" in text:
            raise error from cause
        if "foreign key" in text:
            raise ValidationError("an entity this one refers to was deleted meanwhile; read it again") from cause
        raise
