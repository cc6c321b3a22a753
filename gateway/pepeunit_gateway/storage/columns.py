"""What the definitions of tables are made of: the metadata that holds them all, and the columns that many have."""

from typing import Any

from sqlalchemy import Column, ForeignKey, MetaData, Uuid

from pepeunit_gateway.storage.times import UtcDateTime

__all__ = ["created", "key", "metadata", "reference", "updated"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key() -> Column[Any]:
    """Return the primary key that every entity has."""
    return Column("uuid", Uuid, primary_key=True)


def created() -> Column[Any]:
    """Return the time of creation."""
    return Column("create_datetime", UtcDateTime, nullable=False)


def updated() -> Column[Any]:
    """Return the time of the last change."""
    return Column("last_update_datetime", UtcDateTime, nullable=False)


def reference(
    name: str, target: str, *, nullable: bool = True, ondelete: str = "CASCADE", index: bool = True
) -> Column[Any]:
    """Return a foreign key to the `uuid` of the table `target`, indexed."""
    return Column(name, Uuid, ForeignKey(f"{target}.uuid", ondelete=ondelete), nullable=nullable, index=index)
