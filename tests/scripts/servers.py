"""Real servers for the lab: HTTP, HTTPS on two ports, HTTP/3.

Usage: servers.py CERTIFICATE KEY ADDRESS.... Prints "ready" when every port listens.
An answer names the host it was asked for, so that a client can tell that it
reached the right one: "served HOST".
"""

import asyncio
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated

HEAD_LIMIT = 64 * 1024


async def http(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        host = ""
        for line in head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "host":
                host = value.strip().partition(":")[0]
        body = f"served {host}\n".encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        # The client was cut off, which is what the tests are about.
        writer.close()


class Http3(QuicConnectionProtocol):
    """Answers every request on a QUIC connection."""

    connection = None

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.connection = H3Connection(self._quic)
        if self.connection is None:
            return
        for received in self.connection.handle_event(event):
            if isinstance(received, HeadersReceived):
                self.answer(received)

    def answer(self, request):
        authority = dict(request.headers).get(b":authority", b"").partition(b":")[0]
        self.connection.send_headers(
            request.stream_id,
            [(b":status", b"200"), (b"content-type", b"text/plain")],
        )
        self.connection.send_data(
            request.stream_id, b"served " + authority + b"\n", end_stream=True
        )
        self.transmit()


async def main(certificate, key, *addresses):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    tls.set_alpn_protocols(["http/1.1"])
    quic = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    quic.load_cert_chain(certificate, key)
    for address in ["0.0.0.0", "::"]:
        for port, context in [(80, None), (443, tls), (8443, tls)]:
            await asyncio.start_server(
                http, address, port, ssl=context, limit=HEAD_LIMIT
            )
    # A socket for every address would answer from the wrong one.
    for address in addresses:
        await serve(address, 443, configuration=quic, create_protocol=Http3)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
