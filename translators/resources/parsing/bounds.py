"""How much of anything a manifest may hold.

At least what the API server accepts (CRD schemas of the Gateway API and Istio), so that every
object a cluster stores can be read; still so little that no object can exhaust a translation.
"""

OBJECT_BYTES = 3 * 512 * 1024  # etcd's limit for one object: 1.5 MiB

NAME = 253  # characters; DNS-1123 subdomain
TEXT = 4096  # characters of any other text
REGEX = 1024  # characters (ISTIO-SECURITY-2026-006)
PATH = 1024  # characters of an HTTP path
ANNOTATION = 256 * 1024  # characters of one annotation

LABELS = 1024  # entries of a table of labels or annotations
PARENTS = 64
HOSTNAMES = 1024
RULES = 64
MATCHES = 64
HEADERS = 64
FILTERS = 64
BACKENDS = 64
LISTENERS = 64
CODES = 128
PORTS = 1024
CONTAINERS = 256
ENDPOINTS = 4096
TARGETS = 16
GRANTS = 64
KEY_SET = 256 * 1024  # characters of an inline JWKS
POLICY_RULES = 512
POLICY_ENTRIES = 512  # from, to or when entries of a policy rule
POLICY_VALUES = 4096  # values of one field of a policy
