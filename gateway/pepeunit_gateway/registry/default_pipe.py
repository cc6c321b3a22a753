"""The pipe of a new node whose topic the platform reads. Source: protocol/datapipe.md 1, protocol/firmware.md 7.9."""

import json

__all__ = ["DEFAULT_PIPE_JSON"]

DEFAULT_PIPE_JSON = json.dumps(
    {
        "active_period": {"type": "Permanent", "start": None, "end": None},
        "filters": {
            "type_input_value": "Text",
            "type_value_filtering": None,
            "filtering_values": None,
            "type_value_threshold": None,
            "threshold_min": None,
            "threshold_max": None,
            "max_rate": 5,
            "last_unique_check": False,
            "max_size": 100,
        },
        "transformations": None,
        "processing_policy": {
            "policy_type": "LastValue",
            "n_records_count": None,
            "time_window_size": None,
            "aggregation_functions": None,
        },
    }
)
"""Permanent, Text, one message in 5 s, up to 100 bytes, only the last value is kept."""
