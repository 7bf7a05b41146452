"""Why a stream ends, in words that the client gets to read."""

from grpc import StatusCode


class Closing(Exception):
    """Ends a stream with this status. ``OK`` means that the client was the one to finish."""

    def __init__(self, code: StatusCode, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def afresh(self) -> "Closing":
        """The same, raised nowhere yet."""
        return Closing(self.code, self.message)
