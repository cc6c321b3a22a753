"""Configurations as documents: YAML from and to people, JSON text from the database.

Source: protocol/datapipe.md 2. A document that is a scalar, a list or no YAML at all is an error of the client.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from pepeunit_gateway.datapipe.config import DEFAULT_MAX_SIZE, DataPipeConfig
from pepeunit_gateway.datapipe.plain_yaml import PlainYamlError, load_plain_yaml
from pepeunit_gateway.errors import DataPipeError

__all__ = ["MAX_CONFIG_BYTES", "ConfigProblem", "check_config", "export_yaml", "load_config", "parse_config"]

MAX_CONFIG_BYTES = 16_384
"""Largest YAML document that is read: reading more would hold up others."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One finding of the check; `stage` is the section's name in CamelCase."""

    stage: str
    message: str


def parse_config(document: bytes, *, max_size: int = DEFAULT_MAX_SIZE) -> DataPipeConfig:
    """Read a YAML document.

    Args:
        document: UTF-8, at most MAX_CONFIG_BYTES.
        max_size: upper bound of `filters.max_size`, which is the largest MQTT payload in bytes.

    Raises:
        DataPipeError: the document is no YAML mapping, or values are wrong; `check_config` lists them.
    """
    try:
        return DataPipeConfig.model_validate(_mapping(document), context={"max_size": max_size})
    except ValidationError as error:
        raise DataPipeError(_summary(error)) from None


def check_config(document: bytes, *, max_size: int = DEFAULT_MAX_SIZE) -> list[ConfigProblem]:
    """Return all findings, nothing if the document is valid.

    Raises:
        DataPipeError: the document is no YAML mapping.
    """
    try:
        DataPipeConfig.model_validate(_mapping(document), context={"max_size": max_size})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return [ConfigProblem(_stage(problem["loc"]), problem["msg"]) for problem in found]
    return []


def load_config(stored: str) -> DataPipeConfig:
    """Read the JSON text of a row; a `max_size` above today's bound is no reason to refuse it.

    Raises:
        DataPipeError: the text is broken; the message tells the owner what to do.
    """
    try:
        return DataPipeConfig.model_validate_json(stored, context={"max_size": math.inf})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "document"
        raise DataPipeError(
            f"the stored configuration is broken at {place}: {problem['msg']}; send it again with set_data_pipe_config"
        ) from None


def export_yaml(stored: str) -> str:
    """Return the JSON text of a row as YAML, in the order of its keys and without nulls; it need not be valid.

    Raises:
        DataPipeError: the text is not JSON.
    """
    try:
        content = json.loads(stored)
    except (ValueError, RecursionError):
        raise DataPipeError("the stored configuration is broken; send it again with set_data_pipe_config") from None
    return yaml.safe_dump(_without_nulls(content), sort_keys=False, allow_unicode=True)


def _mapping(document: bytes) -> dict[Any, Any]:
    if len(document) > MAX_CONFIG_BYTES:
        raise DataPipeError(f"the configuration is larger than {MAX_CONFIG_BYTES} bytes; shorten it")
    try:
        content = load_plain_yaml(document)
    except PlainYamlError as error:
        raise DataPipeError(
            f"the configuration cannot be read as YAML: {error.reason}; correct it and send it again"
        ) from None
    if content is None:
        raise DataPipeError("DataPipe is None")
    if not isinstance(content, dict):
        raise DataPipeError(
            "the configuration must be a YAML mapping with the sections active_period, filters and processing_policy, "
            f"not a {type(content).__name__}"
        )
    return content


def _summary(error: ValidationError) -> str:
    count = error.error_count()
    return f"{count} validation error{'' if count == 1 else 's'} for {error.title}"


def _stage(loc: Sequence[int | str]) -> str:
    return "".join(part.capitalize() for part in str(loc[0]).split("_")) if loc else ""


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
