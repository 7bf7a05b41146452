"""Messages inside messages: ``google.protobuf.Any``."""

from betterproto2 import Message
from envoy_data_plane.google.protobuf import Any
from envoy_data_plane.message_pool import default_message_pool

from translators.wire.encoder import class_of, encode


def type_url_of(message: Message) -> str:
    """The type URL of a message: ``type.googleapis.com/`` and the full name of its class."""
    return default_message_pool.type_to_url[class_of(message)]


def pack(message: Message) -> Any:
    """The message as an ``Any``, encoded at once."""
    return Any(type_url=type_url_of(message), value=encode(message))
