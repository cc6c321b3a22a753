"""Everything the tools refuse on purpose. The command prints the message on one line and ends with 1.

ToolError
├── NotLoggedInError       there is no kept login
├── LoginFileError         the kept login cannot be read or written
├── UnreachableError       no complete answer came: refused, cut, too slow, too long
├── UnexpectedAnswerError  an answer came, but not that of a Pepeunit gateway
├── RefusedError           the gateway said no; the message is its `detail` without the codes before it
├── UnknownNameError       no unit, repo, node, link or setting of that name is to be seen
├── RepositoryError        the gateway could not fetch a git repository
└── DownloadError          an archive is not certainly right, or there is no room for its files
"""

__all__ = [
    "DownloadError",
    "LoginFileError",
    "NotLoggedInError",
    "RefusedError",
    "RepositoryError",
    "ToolError",
    "UnexpectedAnswerError",
    "UnknownNameError",
    "UnreachableError",
]


class ToolError(Exception):
    """Root of the tools' own errors.

    `message` is for a person and says what to do; `detail` is for a script, with the gateway's status and code.
    """

    def __init__(self, message: str, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = message if detail is None else detail


class NotLoggedInError(ToolError):
    def __init__(self) -> None:
        super().__init__("you are not logged in; first run: pepeunit login URL --login NAME")


class LoginFileError(ToolError):
    pass


class UnreachableError(ToolError):
    pass


class UnexpectedAnswerError(ToolError):
    pass


class RefusedError(ToolError):
    """`status` is the HTTP status of the answer."""

    def __init__(self, message: str, *, status: int, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.status = status


class UnknownNameError(ToolError):
    pass


class RepositoryError(ToolError):
    pass


class DownloadError(ToolError):
    pass
