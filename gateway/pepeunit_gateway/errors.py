"""The error tree of the gateway. Every class carries its HTTP status and its stable code.

PepeunitError
├── StartError                 the gateway cannot start; the message says what to do
│   └── SettingsError          a PU_* variable is wrong
└── ApiError                   rendered as {"detail": "<status>: <code>: <prefix>: <message>"}
    ├── NoAccessError          403/1   (UnauthorizedError 401/1)
    ├── ValidationError        422/2   (NotFoundError 404/2)
    ├── UserError              422/3
    ├── CustomPermissionError  422/4
    ├── GitRepoError           422/5
    ├── RepoError              422/6
    ├── UnitError              422/7
    ├── UnitNodeError          422/8
    ├── DataPipeError          422/8
    ├── CustomJSONDecodeError  422/9
    ├── MqttError              422/10
    ├── UpdateError            422/11
    ├── CipherError            422/12
    ├── RepositoryRegistryError  422/13   (MirrorBehindError 503/13)
    ├── GitPlatformClientError   422/14
    ├── FeatureFlagError       405/15
    ├── ReadmeGenerationError  422/16
    └── TooManyRequestsError   429/17

Source: protocol/rest.md 2.1; the statuses 401, 404, 409 and 429 are settled in decisions.md 4.
An entity's error takes `conflict=True` where a uniqueness rule is broken: the status becomes 409, the code stays.
"""

from typing import ClassVar

__all__ = [
    "ApiError",
    "CipherError",
    "CustomJSONDecodeError",
    "CustomPermissionError",
    "DataPipeError",
    "FeatureFlagError",
    "GitPlatformClientError",
    "GitRepoError",
    "MirrorBehindError",
    "MqttError",
    "NoAccessError",
    "NotFoundError",
    "PepeunitError",
    "ReadmeGenerationError",
    "RepoError",
    "RepositoryRegistryError",
    "SettingsError",
    "StartError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnitError",
    "UnitNodeError",
    "UpdateError",
    "UserError",
    "ValidationError",
]


class PepeunitError(Exception):
    """Root of everything the gateway raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class StartError(PepeunitError):
    """The gateway cannot start. The message is for a person and says what to do."""


class SettingsError(StartError):
    """One or more PU_* variables are wrong; the message names each."""


class ApiError(PepeunitError):
    """An error that a client of the API sees."""

    status: int = 422
    code: ClassVar[int] = 2
    prefix: ClassVar[str] = "Validation Error"

    def __init__(self, message: str, *, conflict: bool = False) -> None:
        super().__init__(message)
        if conflict:
            self.status = 409

    @property
    def detail(self) -> str:
        """The wire form of protocol/rest.md 2.1, e.g. `403: 1: No Access: Token expired`."""
        return f"{self.status}: {self.code}: {self.prefix}: {self.message}"


class NoAccessError(ApiError):
    status = 403
    code = 1
    prefix = "No Access"


class UnauthorizedError(NoAccessError):
    status = 401


class ValidationError(ApiError):
    code = 2
    prefix = "Validation Error"


class NotFoundError(ValidationError):
    status = 404
    prefix = "Not Found"


class UserError(ApiError):
    code = 3
    prefix = "User Validation Error"


class CustomPermissionError(ApiError):
    code = 4
    prefix = "Permission Validation Error"


class GitRepoError(ApiError):
    code = 5
    prefix = "Git Repo Validation Error"


class RepoError(ApiError):
    code = 6
    prefix = "Repo Validation Error"


class UnitError(ApiError):
    code = 7
    prefix = "Unit Validation Error"


class UnitNodeError(ApiError):
    code = 8
    prefix = "UnitNode Validation Error"


class DataPipeError(ApiError):
    code = 8
    prefix = "DataPipe Validation Error"


class CustomJSONDecodeError(ApiError):
    code = 9
    prefix = "JSON Decode Error"


class MqttError(ApiError):
    code = 10
    prefix = "MQTT Error"


class UpdateError(ApiError):
    code = 11
    prefix = "Update Error"


class CipherError(ApiError):
    code = 12
    prefix = "Cipher Error"


class RepositoryRegistryError(ApiError):
    code = 13
    prefix = "Repository Registry Validation Error"


class MirrorBehindError(RepositoryRegistryError):
    """Another gateway knows a newer state of the repository, and this one could not fetch it; try again later."""

    status = 503


class GitPlatformClientError(ApiError):
    code = 14
    prefix = "Git Platform Client Error"


class FeatureFlagError(ApiError):
    status = 405
    code = 15
    prefix = "Feature Flag Error"


class ReadmeGenerationError(ApiError):
    code = 16
    prefix = "Readme Generation Error"


class TooManyRequestsError(ApiError):
    """Too many failures; `retry_after` is in whole seconds and becomes the Retry-After header."""

    status = 429
    code = 17
    prefix = "Too Many Requests"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
