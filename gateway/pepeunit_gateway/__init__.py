"""The Pepeunit gateway: entities and access over REST, the broker, telemetry and firmware."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("pepeunit")
