"""Sessions with an API server: when credentials are read."""

from typing import Any

from xds_server.sources.kubernetes.transport import Transport


class Client:
    """A client that only can be closed."""

    def __init__(self) -> None:
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True


async def test_of_many_who_were_refused_at_once_only_the_first_ends_the_session() -> None:
    clients: list[Client] = []

    async def login() -> Any:
        clients.append(Client())
        return clients[-1]

    transport = Transport(login)
    await transport.log_in()
    refused = transport.session
    await transport.log_out(refused)
    await transport.log_in()
    await transport.log_out(refused)
    assert [client.is_closed for client in clients] == [True, False]
    await transport.log_out(transport.session)
    assert clients[1].is_closed
