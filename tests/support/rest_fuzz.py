"""schemathesis against a running gateway: what its OpenAPI document says, as one agent, in sequences that follow uuids.

A uuid that was made up leads nowhere, so that every third or so of those that are generated stays, and the others
become ones that the gateway has told before. Nothing leaves this machine: the names of hosts are never looked up, and
addresses other than loopback are refused where the gateway would resolve them (`closed_network`).
"""

import random
import socket
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import count
from typing import Any
from unittest.mock import patch

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis.errors import FlakyStrategyDefinition, Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

__all__ = ["Fuzzer", "closed_network"]

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_TIMEOUT = 30
_STEPS = 12
_SCENARIOS = 20
_KNOWN_SHARE = 0.7
_KEPT_SHARE = 0.5
_EXAMPLE_SHARE = 0.4
_MOST = 30
_ENTITIES = {
    "node": "unit_nodes", "repo": "repos", "unit": "units", "registry": "repository_registry", "creator": "users",
    "user": "users", "agent": "users", "resource": "units",
}  # fmt: skip
"""What a field such as `repo_uuid` names, by its words."""

_BRANCHES = {"default_branch", "repo_branch"}

_OWN_END = {
    ("DELETE", "/users/{uuid}"), ("PATCH", "/users/block/{uuid}"), ("DELETE", "/units/{uuid}"),
    ("POST", "/units/reissue_token/{uuid}"), ("POST", "/units/revoke_token/{uuid}"),
}  # fmt: skip
"""What ends the token that the run uses, when it hits the agent that runs; a new password of its own does so too."""

_NO_HTTP = dict.fromkeys([*range(9), *range(10, 32), 127])
"""Characters that no header may have: the server answers 400 before any route is known (test_malformed.py)."""

_NOBODY = "00000000-0000-4000-8000-000000000000"


@contextmanager
def closed_network() -> Iterator[None]:
    """Let nothing but loopback addresses be resolved in this process; git is only given what was resolved here."""
    look_up = socket.getaddrinfo

    def refuse(host: Any, *arguments: Any, **options: Any) -> Any:
        try:
            near = ip_address(host).is_loopback
        except ValueError:
            near = False
        if not near:
            raise socket.gaierror(socket.EAI_NONAME, "the network is closed")
        return look_up(host, *arguments, **options)

    with patch.object(socket, "getaddrinfo", refuse):
        yield


@dataclass
class _Known:
    """Uuids that the gateway has told, by the folder of the route that gives the entity."""

    uuids: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    kept: set[str] = field(default_factory=set)

    def keep(self, folder: str, uuid: str) -> None:
        """Know an entity that is not deleted, so that there is one until the end."""
        self.kept.add(uuid)
        self.add(folder, uuid)

    def add(self, folder: str, uuid: object) -> None:
        known = self.uuids[folder]
        if isinstance(uuid, str) and uuid not in known:
            known.append(uuid)
            if len(known) > _MOST:
                known.remove(next(found for found in known if found not in self.kept))

    def harvest(self, folder: str, value: Any) -> None:
        """Take every uuid out of an answer."""
        if isinstance(value, list):
            for part in value[:5]:
                self.harvest(folder, part)
        elif isinstance(value, dict):
            for name, part in value.items():
                if name == "uuid":
                    self.add(folder, part)
                elif name.endswith("_uuid"):
                    self.add(_folder(name, folder), part)
                elif isinstance(part, (list, dict)):
                    self.harvest(name, part)

    def any_of(self, folder: str, chance: random.Random) -> str | None:
        found = [uuid for uuid in self.uuids[folder] if uuid in self.kept] if chance.random() < _KEPT_SHARE else []
        found = found or self.uuids[folder]
        return chance.choice(found) if found else None


def _folder(name: str, default: str) -> str:
    return next((folder for word, folder in _ENTITIES.items() if word in name.split("_")), default)


@dataclass
class Fuzzer:
    """One agent that tries everything. What is wrong is found in `failures`, by operation and status.

    Args:
        document: the OpenAPI document.
        base: the address that its paths come after.
        token: the agent's; None for nobody.
        own: the agent's uuid, which it does not delete.
        seed: of the choices; the same seed makes the same choices.
    """

    document: dict[str, Any]
    base: str
    token: str | None
    own: str
    seed: int = 1
    known: _Known = field(default_factory=_Known)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = SchemathesisConfig()
        config.projects.default.generation = GenerationConfig(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
        self.schema = schemathesis.openapi.from_dict(self.document, config=config)
        self._session = requests.Session()
        self._chance = random.Random(self.seed)
        self._headers = {} if self.token is None else {"x-auth-token": self.token}

    def _prepare(self, case: Case) -> None:
        """Put uuids into a case that the gateway knows."""
        folder = case.operation.path.strip("/").partition("/")[0]
        if (examples := self._examples(case)) and self._chance.random() < _EXAMPLE_SHARE:
            case.body = self._chance.choice(examples)
            for name in ({"name", "login"} & case.body.keys()) if isinstance(case.body, dict) else ():
                case.body[name] = f"lamp-{self._chance.randrange(10**6)}"
        for name, value in (case.headers or {}).items():
            case.headers[name] = value.translate(_NO_HTTP) if isinstance(value, str) else value
        for name in case.path_parameters or {}:
            self._replace(case.path_parameters, name, folder)
        for part in (case.query, case.body):
            for name in list(part) if isinstance(part, dict) else []:
                if name in _BRANCHES and self._chance.random() < _KNOWN_SHARE:
                    part[name] = "main"
                if name.endswith(("uuid", "uuids")):
                    self._replace(part, name, _folder(name.removesuffix("s"), folder))
        route = (case.method.upper(), case.operation.path)
        uuid = (case.path_parameters or {}).get("uuid")
        if (route in _OWN_END and uuid == self.own) or (route[0] == "DELETE" and uuid in self.known.kept):
            case.path_parameters["uuid"] = _NOBODY
        if route == ("PATCH", "/users/{uuid}") and isinstance(case.body, dict):
            case.body.pop("password", None)

    def _examples(self, case: Case) -> list[Any]:
        """Copies of the bodies that the document gives as examples for this operation."""
        item = self.document["paths"][case.operation.path][case.method.lower()]
        content = item.get("requestBody", {}).get("content", {})
        found = [example["value"] for example in content.get("application/json", {}).get("examples", {}).values()]
        for name, part in content.get("multipart/form-data", {}).get("schema", {}).get("properties", {}).items():
            found += [{name: text} for text in part.get("examples", [])]
        return deepcopy(found)

    def _replace(self, part: dict[str, Any], name: str, folder: str) -> None:
        if self._chance.random() < _KNOWN_SHARE and (uuid := self.known.any_of(folder, self._chance)):
            part[name] = [uuid] if isinstance(part[name], list) else uuid

    def _call(self, case: Case) -> Response:
        return case.call(base_url=self.base, headers=self._headers, session=self._session, timeout=_TIMEOUT)

    def _judge(self, case: Case, response: Response) -> None:
        self.statuses[case.operation.label, response.status_code] += 1
        if response.headers.get("content-type", [""])[0].startswith("application/json") and response.content:
            self.known.harvest(case.operation.path.strip("/").partition("/")[0], response.json())
        try:
            assert response.headers.get("x-request-id"), "an answer without an id"
            case.validate_response(response, checks=_CHECKS)
        except (AssertionError, FailureGroup) as error:
            # kept instead of raised: the gateway is another one by the time that hypothesis tries again
            self.failures.setdefault(f"{case.operation.label} {response.status_code}", _tell(case, error))

    def each(self, examples: int) -> None:
        """Try every operation alone with what fits its document and with what does not."""
        for result in self.schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            self._try(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), examples)
            with suppress(Unsatisfiable):  # nothing in it can be wrong
                self._try(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), examples)

    def _try(self, cases: Any, examples: int) -> None:
        @_settings(examples)
        @seed(self.seed)
        @given(case=cases)
        def attempt(case: Case) -> None:
            self._prepare(case)
            self._judge(case, self._call(case))

        attempt()

    def sequences(self, steps: int) -> None:
        """Follow the links of the document, a dozen steps at a time, about `steps` in all."""
        fuzzer = self

        class Machine(self.schema.as_state_machine()):  # type: ignore[misc]
            def before_call(self, case: Case) -> None:
                fuzzer._prepare(case)

            def call(self, case: Case, **_: Any) -> Response:
                return fuzzer._call(case)

            def validate_response(self, response: Response, case: Case, *_: Any, **__: Any) -> None:
                fuzzer._judge(case, response)

        wanted = self.statuses.total() + steps
        for number in count(self.seed):
            if self.statuses.total() >= wanted:
                return
            # another answer than the last time is no fault, and ends the run that expected the same
            with suppress(FlakyStrategyDefinition):
                seed(number)(type(f"Machine{number}", (Machine,), {})).run(settings=_settings(_SCENARIOS))


def _tell(case: Case, error: BaseException) -> str:
    causes = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
    return "\n".join([*(f"{cause}" for cause in causes), case.as_curl_command()])


def _settings(examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        stateful_step_count=_STEPS,
        suppress_health_check=list(HealthCheck),
    )
