"""Clients of the lab beside curl and openssl.

Usage: client.py browser|http3 CA HOST ADDRESS. Prints the answer's body;
ends with 1 and the reason when there is none.

`browser` sends Chrome's hello by curl_cffi, `http3` is aioquic.
"""

import asyncio
import ipaddress
import sys


def browser(authority, host, address):
    from curl_cffi import CurlOpt, requests

    if ipaddress.ip_address(address).version == 6:
        address = f"[{address}]"
    session = requests.Session(
        impersonate="chrome",
        verify=authority,
        timeout=4,
        curl_options={CurlOpt.RESOLVE: [f"{host}:443:{address}"]},
    )
    return session.get(f"https://{host}/").text


def http3(authority, host, address):
    from aioquic.asyncio import QuicConnectionProtocol, connect
    from aioquic.h3.connection import H3_ALPN, H3Connection
    from aioquic.h3.events import DataReceived
    from aioquic.quic.configuration import QuicConfiguration

    class Client(QuicConnectionProtocol):
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

    async def fetch():
        configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=host)
        configuration.load_verify_locations(authority)
        async with connect(
            address, 443, configuration=configuration, create_protocol=Client
        ) as client:
            return await client.request()

    async def bounded():
        return await asyncio.wait_for(fetch(), timeout=4)

    return asyncio.run(bounded())


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    try:
        print({"browser": browser, "http3": http3}[kind](*arguments), end="")
    except Exception as error:  # whatever it is, it goes to the test
        print(type(error).__name__, error, file=sys.stderr)
        sys.exit(1)
