"""The test suite. This file makes `tests` ours: a dependency (gmqtt) installs a top-level package of that name too."""
