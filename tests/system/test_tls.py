"""The way to a Control Room: certificates are checked, a proxy is used when it is configured, the environment's never."""
import http.client
import http.server
import ssl
import subprocess
import threading
import urllib.parse

import pytest

import control_room
from conftest import until

CONFIG = """
[workspace cloud]
type = robocorp
id = ws-1
api_url = {url}/api/v1
api_key_env = CLOUD_KEY
poll_min = 100ms
poll_max = 300ms
{more}
[process invoices]
workspace = cloud
process_name = Invoices
"""


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """ca.pem, and certificates of it for 127.0.0.1 (good) and for another host (other)."""
    folder = tmp_path_factory.mktemp("tls")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-days", "2",
            "-subj", "/CN=Test CA")
    for name, san in (("good", "IP:127.0.0.1"), ("other", "DNS:elsewhere.example")):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj", "/CN=x")
        (folder / f"{name}.ext").write_text(f"subjectAltName={san}\n")
        openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial",
                "-out", folder / f"{name}.pem", "-days", "2", "-extfile", folder / f"{name}.ext")
    return folder


@pytest.fixture
def secure_room(certificates):
    servers = []

    def serve(name):
        server = control_room.serve()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.RequestHandlerClass.scheme = "https"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_certificate_of_the_configured_ca_is_good(daemon, secure_room, certificates):
    server = secure_room("good")
    daemon.env["CLOUD_KEY"] = "test-key"
    daemon.start(CONFIG.format(url=f"https://127.0.0.1:{server.server_address[1]}", more=f"ca_file = {certificates / 'ca.pem'}"))
    record = daemon.run_and_wait("invoices")
    assert record["state"] == "completed" and len(record["artifacts"]) == 1 and "notes" not in record, record


@pytest.mark.parametrize("name, ca", [("good", False), ("other", True)])
def test_a_certificate_that_is_not_good_gets_no_request(daemon, secure_room, certificates, name, ca):
    server = secure_room(name)
    daemon.env["CLOUD_KEY"] = "test-key"
    daemon.start(CONFIG.format(url=f"https://127.0.0.1:{server.server_address[1]}",
                               more=f"ca_file = {certificates / 'ca.pem'}" if ca else ""))
    run_id = daemon.begin("invoices")
    trouble = until(lambda: daemon.status()["workspaces"][1].get("trouble"), "the trouble shows")
    assert "certificate" in trouble.lower() or "ssl" in trouble.lower(), trouble
    assert server.RequestHandlerClass.room.requests == {}
    assert daemon.run(run_id)["state"] in ("queued", "starting")


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = None

    def log_message(self, *args):
        pass

    def forward(self):
        parts = urllib.parse.urlsplit(self.path)
        self.seen.append(f"{self.command} {parts.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(parts.hostname, parts.port)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "proxy-connection", "content-length")}
        connection.request(self.command, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = forward


def run_proxy():
    handler = type("BoundProxy", (Proxy,), {"seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.parametrize("configured", [True, False])
def test_a_proxy_is_used_when_it_is_configured_only(daemon, room, configured):
    server = run_proxy()
    proxy = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        daemon.env.update(CLOUD_KEY="test-key", http_proxy=proxy, HTTP_PROXY=proxy, https_proxy=proxy, ALL_PROXY=proxy, all_proxy=proxy)
        daemon.start(CONFIG.format(url=f"http://127.0.0.1:{room.port}", more=f"proxy = {proxy}" if configured else ""))
        record = daemon.run_and_wait("invoices")
        assert record["state"] == "completed" and len(record["artifacts"]) == 1
        seen = server.RequestHandlerClass.seen
        if not configured:
            assert seen == []
            return
        assert any("/process-runs" in s for s in seen) and any(s.startswith("GET /files/") for s in seen)
        assert len(seen) >= sum(room.state()["requests"].values())
    finally:
        server.shutdown()
        server.server_close()
