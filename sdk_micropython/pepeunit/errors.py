"""The error tree of the SDK.

PepeunitError
    EnvError           env.json is missing, broken or foreign
    SchemaError        schema.json is missing or broken
    UnknownNameError   a name or topic that the schema does not hold
    RestError          a call to the gateway failed; status (None when no answer came) and retry_after in seconds
    ArchiveError       a downloaded archive is cut, altered or not allowed
    SwitchError        the new version cannot take the place of the old one
    SessionError       the broker cannot be reached, refuses the unit or stopped answering
    CipherError        wrong key, or a text that was not made by this key

No message ever holds a token or a key.
"""


class PepeunitError(Exception):
    pass


class EnvError(PepeunitError):
    pass


class SchemaError(PepeunitError):
    pass


class UnknownNameError(PepeunitError):
    pass


class RestError(PepeunitError):
    def __init__(self, message, status=None, retry_after=0):
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ArchiveError(PepeunitError):
    pass


class SwitchError(PepeunitError):
    pass


class SessionError(PepeunitError):
    pass


class CipherError(PepeunitError):
    pass
