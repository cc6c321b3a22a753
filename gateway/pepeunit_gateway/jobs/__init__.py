"""Periodic work, the outbox sender, and what follows a change of access."""
