"""Envoy messages to bytes, once: encoder, Any, content-hash versions, discovery messages."""
