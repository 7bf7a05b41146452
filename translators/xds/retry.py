"""Repeating attempts that failed."""

from datetime import timedelta

from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    RetryPolicy,
    RetryPolicyRetryBackOff,
    RetryPolicyRetryHostPredicate,
)
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate

from translators.ir.route import Forward, Retry
from translators.wire import pack, shared
from translators.xds.text import exact

_BY_CODE = "retriable-status-codes"
_OTHER_HOST_ATTEMPTS = 5


def retry_policy(action: Forward) -> RetryPolicy | None:
    """When to repeat an attempt, and how long each may take; None if nothing is said of either."""
    per_try = (
        None
        if action.attempt_timeout_ms is None
        else timedelta(milliseconds=action.attempt_timeout_ms)
    )
    if action.retry is not None:
        return _repeat(action.retry, per_try)
    if per_try is not None:
        return RetryPolicy(num_retries=0, per_try_timeout=per_try)
    return None


@shared
def _repeat(retry: Retry, per_try: timedelta | None) -> RetryPolicy:
    """Each time at another endpoint, if there is one."""
    predicate = RetryPolicyRetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts",
        typed_config=pack(PreviousHostsPredicate()),
    )
    return RetryPolicy(
        retry_on=",".join(_conditions(retry)),
        num_retries=retry.attempts,
        per_try_timeout=per_try,
        retriable_status_codes=list(retry.codes),
        retriable_request_headers=[
            HeaderMatcher(name=":method", string_match=exact(method)) for method in retry.methods
        ],
        retry_back_off=_back_off(retry),
        retry_host_predicate=[predicate],
        host_selection_retry_max_attempts=_OTHER_HOST_ATTEMPTS,
    )


def _conditions(retry: Retry) -> tuple[str, ...]:
    """Envoy looks at the status codes only if they are a condition too."""
    return (*retry.on, _BY_CODE) if retry.codes and _BY_CODE not in retry.on else retry.on


def _back_off(retry: Retry) -> RetryPolicyRetryBackOff | None:
    if retry.backoff_ms is None:
        return None
    # Envoy refuses a pause of nothing.
    return RetryPolicyRetryBackOff(base_interval=timedelta(milliseconds=max(1, retry.backoff_ms)))
