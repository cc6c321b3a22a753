"""Alembic migrations; each is tested upwards from an older database."""
