"""What every test runs under: how many examples the property tests try, and no clock on a single example."""

import os

from hypothesis import settings

# `make fuzz` asks for many more. A deadline per example only measures what else runs on the machine.
settings.register_profile("pepeunit", max_examples=int(os.environ.get("PU_TEST_EXAMPLES", "100")), deadline=None)
settings.load_profile("pepeunit")
