"""``waypost describe`` of what is in the examples, in full."""

import shutil
from pathlib import Path

from tests.support.described import run

BOOKINFO = Path(__file__).parents[2] / "examples" / "bookinfo"


def test_a_service_in_full():
    assert (
        run("service", "reviews", "-n", "bookinfo", "-f", BOOKINFO).output
        == """\
Kind:                    Service
Name:                    reviews
Namespace:               bookinfo
Hostname:                reviews.bookinfo.svc.cluster.local
Addresses:               10.96.0.40
Waypoint:
  Name:     bookinfo/waypoint
  Label:    istio.io/use-waypoint=waypoint (of Namespace bookinfo)
  Bound:    yes
  Handles:  traffic to services
Endpoints:               any
Ports:
  Port:      9080
  Name:      http
  Protocol:  http
  Routes:
    Order  Route                       Rule       Match                  Action
    -----  -----                       ----       -----                  ------
    1      HTTPRoute bookinfo/reviews  testers    header end-user=jason  \
to reviews-v3.bookinfo.svc.cluster.local:9080
    2      HTTPRoute bookinfo/reviews  everybody  any request            \
to reviews-v1.bookinfo.svc.cluster.local:9080 (90/100), \
to reviews-v2.bookinfo.svc.cluster.local:9080 (10/100)
Policies:
  Order  Action  Policy                                        Target           Decides
  -----  ------  ------                                        ------           -------
  1      ALLOW   AuthorizationPolicy bookinfo/reviews-readers  Service reviews  on the request
Ways Past The Waypoint:
  Way                                      Skips  Why
  ---                                      -----  ---
  captured pods, to the service's address  no     ztunnel sends them to bookinfo/waypoint
  through an ingress gateway               yes    \
neither it nor its namespace is labelled istio.io/ingress-use-waypoint=true
  to a pod's own address                   yes    \
traffic to a pod's own address is not traffic to the service, whoever sends it
  clients without ztunnel                  yes    \
nobody redirects what they send; none of the pods here is such a client
  from other waypoints' routes             no     \
no service of another waypoint has it as a backend
  from the waypoint itself                 yes    \
what runs as bookinfo/waypoint is never sent through it again
"""
    )


def test_a_pod_in_full():
    assert (
        run("pod", "ratings-v1", "-n", "bookinfo", "-f", BOOKINFO).output
        == """\
Kind:                 Pod
Name:                 ratings-v1
Namespace:            bookinfo
Identity:             spiffe://cluster.local/ns/bookinfo/sa/bookinfo-ratings
Addresses:            127.30.0.3
Captured:             yes
Waypoint:
  Name:     bookinfo/waypoint
  Label:    istio.io/use-waypoint=waypoint (of Namespace bookinfo)
  Bound:    no
  Message:  waypoint bookinfo/waypoint does not handle traffic to pods' own addresses
Ways In:
  Way                 Waypoint           Why
  ---                 --------           ---
  to Service ratings  bookinfo/waypoint  the pod sees the waypoint's identity, not the client's
  to its own address  <none>             ztunnel delivers it
Policies:             <none>
Policies At Ztunnel:  <none>
"""
    )


def test_what_could_not_be_read_is_told(tmp_path: Path):
    folder = shutil.copytree(BOOKINFO, tmp_path / "bookinfo")
    (folder / "bad.yaml").write_text("kind: [")
    result = run("namespace", "bookinfo", "-f", folder)
    assert result.exit_code == 79
    assert "bad.yaml" in result.stderr
