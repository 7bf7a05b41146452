"""Where a proxy gets a resource from: always the stream that it already has."""

from datetime import timedelta

from envoy_data_plane.envoy.config.core.v3 import AggregatedConfigSource, ApiVersion, ConfigSource

from translators.wire import shared


@shared
def ads(*, patient: bool = False) -> ConfigSource:
    """From ADS. ``patient``: wait for as long as it takes, instead of 15 seconds.

    Waiting for ever holds back everything that comes after, so it is only for what a proxy is
    useless without.
    """
    return ConfigSource(
        ads=AggregatedConfigSource(),
        resource_api_version=ApiVersion.V3,
        initial_fetch_timeout=timedelta(0) if patient else None,
    )
