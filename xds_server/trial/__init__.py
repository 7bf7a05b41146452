"""A waypoint's own configuration in one Envoy of its own, to be tried with real requests."""

from xds_server.trial.bootstrap import CLAIMS_HEADER, encode_claims
from xds_server.trial.envoy import Trial, run_trial

__all__ = ["CLAIMS_HEADER", "Trial", "encode_claims", "run_trial"]
