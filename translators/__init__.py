"""The pure half of waypost: Kubernetes objects in, Envoy resources and conditions out."""
