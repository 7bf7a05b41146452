"""SVIDs on disk, issued by the project's own certificate authority."""

from datetime import UTC, datetime
from pathlib import Path

from xds_server.demo.ztunnel import SvidFiles
from xds_server.identity.authority import Authority, create_authority
from xds_server.identity.spiffe import SpiffeId


class CertFolder:
    """An authority whose root lies in ``root``, and the SVIDs that it has issued.

    The authority is a fresh one unless one is given.
    """

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        self._folder = folder
        self._issued: dict[SpiffeId, SvidFiles] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = authority or create_authority(datetime.now(UTC))
        self.root = folder / "root.pem"
        self.root.write_bytes(self.authority.trust_bundle())

    def svid(
        self, namespace: str, service_account: str, trust_domain: str = "cluster.local"
    ) -> SvidFiles:
        """The SVID of a service account; issued once, then the same files."""
        identity = SpiffeId(trust_domain, namespace, service_account)
        if identity not in self._issued:
            self._issued[identity] = self._issue(identity)
        return self._issued[identity]

    def _issue(self, identity: SpiffeId) -> SvidFiles:
        svid = self.authority.issue(identity, datetime.now(UTC))
        stem = f"{identity.trust_domain}_{identity.namespace}_{identity.service_account}"
        chain, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        chain.write_bytes(svid.chain)
        key.touch(mode=0o600)
        key.write_bytes(svid.key)
        return SvidFiles(identity.uri, str(chain), str(key))
