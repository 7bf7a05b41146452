"""Kubernetes manifests as frozen typed values: shape only, no meaning."""
