"""Headless Firefox, driven over its Marionette port.

Usage: firefox.py tcp|http3 PROFILE HOST ADDRESS. Prints what the page says and
how long the visit took, without Firefox's own start; ends with 1 and Firefox's
error when there is no page.
"""

import json
import os
import socket
import subprocess
import sys
import time

PORT = 2828
PREFERENCES = {
    "browser.aboutConfig.showWarning": False,
    "browser.shell.checkDefaultBrowser": False,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "",
    # The lab's authority is nobody's: QUIC is tried all the same.
    "network.http.http3.disable_when_third_party_roots_found": False,
    "network.trr.mode": 5,
    "marionette.port": PORT,
}


class Marionette:
    """Commands as JSON: [0, number, name, arguments], answered by
    [1, number, error, result], each behind its length and a colon."""

    def __init__(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=12)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.number = 0
        self.read()

    def read(self):
        length = b""
        while not length.endswith(b":"):
            length += self.exactly(1)
        return json.loads(self.exactly(int(length[:-1])))

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionError("Firefox has gone")
            data += part
        return data

    def command(self, name, **arguments):
        self.number += 1
        text = json.dumps([0, self.number, name, arguments]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, result = self.read()
        if error:
            raise RuntimeError(error["message"])
        return result


def visit(kind, profile, host, address):
    preferences = dict(PREFERENCES)
    preferences["network.dns.forceResolve"] = address
    preferences["network.http.http3.enable"] = kind == "http3"
    if kind == "http3":
        mapping = f"{host};h3=:443"
        preferences["network.http.http3.alt-svc-mapping-for-testing"] = mapping
        preferences["network.http.http3.force-use-alt-svc-mapping-for-testing"] = True
    with open(os.path.join(profile, "user.js"), "w") as file:
        for name, value in preferences.items():
            file.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
    firefox = subprocess.Popen(
        ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", profile],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        marionette = Marionette()
        marionette.command(
            "WebDriver:NewSession",
            acceptInsecureCerts=True,
            timeouts={"pageLoad": 8000},
        )
        start = time.monotonic()
        try:
            marionette.command("WebDriver:Navigate", url=f"https://{host}/")
        finally:
            print(f"took {time.monotonic() - start:.4f}")
        protocol = marionette.command(
            "WebDriver:ExecuteScript",
            script="return performance.getEntriesByType('navigation')[0].nextHopProtocol",
            args=[],
        )["value"]
        wanted = ["h3"] if kind == "http3" else ["h2", "http/1.1"]
        if protocol not in wanted:
            raise RuntimeError(f"came by {protocol}")
        print(marionette.command("WebDriver:GetPageSource")["value"])
    finally:
        firefox.kill()
        firefox.wait()


if __name__ == "__main__":
    try:
        visit(*sys.argv[1:])
    except Exception as error:  # whatever it is, it goes to the test
        print(type(error).__name__, error, file=sys.stderr)
        sys.exit(1)
