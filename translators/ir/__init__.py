"""The model between Kubernetes and Envoy: frozen values that know neither."""
