"""Clients of the lab beside curl and openssl.

Usage: client.py KIND CA HOST ADDRESS. Prints the answer's body and how long
it took to come, without Python's own start (of `http3` also without the keys
of its hello); ends with 1 and the reason when there is none.

`browser` sends Chrome's hello by curl_cffi, `go` Safari's by tls_client,
`http3` is aioquic, `browser-http3` Firefox's hello by curl_cffi over QUIC.
"""

import asyncio
import ipaddress
import sys
import time

# When a client's first datagram went out, where it tells.
SENT = []


def curl_cffi(authority, host, address, **options):
    from curl_cffi import CurlOpt, requests

    if ipaddress.ip_address(address).version == 6:
        address = f"[{address}]"
    session = requests.Session(
        verify=authority,
        timeout=4,
        curl_options={CurlOpt.RESOLVE: [f"{host}:443:{address}"]},
        **options,
    )
    return lambda: session.get(f"https://{host}/").text


def browser(authority, host, address):
    return curl_cffi(authority, host, address, impersonate="chrome")


def browser_http3(authority, host, address):
    from curl_cffi import CurlHttpVersion

    return curl_cffi(
        authority,
        host,
        address,
        impersonate="firefox147",
        http_version=CurlHttpVersion.V3ONLY,
    )


def go(_authority, host, _address):
    """The address is in the hosts file; the library has no other way."""
    import tls_client

    session = tls_client.Session(client_identifier="safari_16_0")
    return lambda: session.get(
        f"https://{host}/", insecure_skip_verify=True, timeout_seconds=4
    ).text


def http3(authority, host, address):
    from aioquic.asyncio import QuicConnectionProtocol, connect
    from aioquic.h3.connection import H3_ALPN, H3Connection
    from aioquic.h3.events import DataReceived
    from aioquic.quic.configuration import QuicConfiguration

    class Client(QuicConnectionProtocol):
        def transmit(self):
            super().transmit()
            SENT.append(time.monotonic())

        def request(self):
            self.body = b""
            self.done = asyncio.get_running_loop().create_future()
            self.http = H3Connection(self._quic)
            stream = self._quic.get_next_available_stream_id()
            self.http.send_headers(
                stream,
                [
                    (b":method", b"GET"),
                    (b":scheme", b"https"),
                    (b":authority", host.encode()),
                    (b":path", b"/"),
                ],
                end_stream=True,
            )
            self.transmit()
            return self.done

        def quic_event_received(self, event):
            if not hasattr(self, "http"):
                return
            for received in self.http.handle_event(event):
                if isinstance(received, DataReceived):
                    self.body += received.data
                    if received.stream_ended and not self.done.done():
                        self.done.set_result(self.body.decode())

    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=host)
    configuration.load_verify_locations(authority)

    async def fetch():
        async with connect(
            address, 443, configuration=configuration, create_protocol=Client
        ) as client:
            return await client.request()

    async def bounded():
        return await asyncio.wait_for(fetch(), timeout=4)

    return lambda: asyncio.run(bounded())


KINDS = {
    "browser": browser,
    "browser-http3": browser_http3,
    "go": go,
    "http3": http3,
}

if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    fetch = KINDS[kind](*arguments)
    start = time.monotonic()
    try:
        print(fetch(), end="")
    except Exception as error:  # whatever it is, it goes to the test
        print(type(error).__name__, error, file=sys.stderr)
        sys.exit(1)
    finally:
        began = SENT[0] if SENT else start
        print(f"\ntook {time.monotonic() - began:.4f}")
