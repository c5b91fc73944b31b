"""Result lines: one for each end in each target, also in one that was away."""
import re
import socket
import threading

import pytest

from conftest import until

CONFIG = """
[process p]
workspace = here
command = {command}
"""


class Receiver:
    """Takes datagrams, or lines over TCP with their octet count or newline."""

    def __init__(self, kind, port=0, path=None):
        self.lines, self.kind, self.connections = [], kind, []
        if kind == "tcp":
            self.socket = socket.create_server(("127.0.0.1", port))
        elif kind == "udp":
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", port))
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.bind(str(path))
        self.port = None if kind == "local" else self.socket.getsockname()[1]
        threading.Thread(target=self.accept if kind == "tcp" else self.datagrams, daemon=True).start()

    def datagrams(self):
        while True:
            try:
                self.lines.append(self.socket.recv(65536).decode())
            except OSError:
                return

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.stream, args=[connection], daemon=True).start()

    def stream(self, connection):
        data = b""
        while True:
            try:
                piece = connection.recv(65536)
            except OSError:
                return
            if not piece:
                return
            data += piece
            while match := re.match(rb"(\d+) ", data):
                length = int(match.group(1))
                if len(data) < match.end() + length:
                    break
                self.lines.append(data[match.end():match.end() + length].decode())
                data = data[match.end() + length:]

    def close(self):
        for connection in self.connections:
            connection.close()
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def of(self, run_id, *words):
        return [line for line in self.lines if run_id in line and all(w in line for w in words)]


def start(daemon, target, command="true"):
    daemon.syslog = target
    return daemon.start(CONFIG.format(command=command))


RFC5424 = re.compile(r'^<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) \S+ belfry \d+ \S+ \[belfry@32473( [a-z_]+="[^"]*")+\]')


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_lines_over_the_network(daemon, kind):
    receiver = Receiver(kind)
    start(daemon, f"{kind}://127.0.0.1:{receiver.port}")
    good = daemon.run_and_wait("p")
    until(lambda: receiver.of(good["id"], 'state="completed"'), "the end is said")
    lines = receiver.of(good["id"])
    assert len(lines) == 2 and all(RFC5424.match(line) for line in lines), lines
    end = receiver.of(good["id"], 'state="completed"')[0]
    for words in ('process="p"', 'trigger="manual/socket"', 'duration_ms="', f'results="{good["results"]}"'):
        assert words in end, end
    receiver.close()


def test_a_failure_to_start_is_said(daemon):
    receiver = Receiver("udp")
    start(daemon, f"udp://127.0.0.1:{receiver.port}", command="/nonexistent/program")
    record = daemon.run_and_wait("p")
    until(lambda: receiver.of(record["id"], 'state="failed"'), "the end is said")
    assert receiver.of(record["id"], "/nonexistent/program")


def test_the_local_socket(daemon):
    receiver = Receiver("local", path=daemon.folder / "log.sock")
    start(daemon, f"local:{daemon.folder}/log.sock")
    record = daemon.run_and_wait("p")
    line = until(lambda: receiver.of(record["id"], "state=completed"), "the end is said")[0]
    assert re.match(r"<\d+>\w{3} [ \d]\d \d\d:\d\d:\d\d belfry\[\d+\]: ", line), line
    assert "process=p" in line and "trigger=manual/socket" in line


def test_a_target_that_was_away_gets_its_lines(daemon):
    receiver = Receiver("tcp")
    port = receiver.port
    receiver.close()
    start(daemon, f"tcp://127.0.0.1:{port}")
    ids = [daemon.run_and_wait("p")["id"] for _ in range(5)]
    trouble = until(lambda: daemon.status()["syslog"], "the trouble shows")[0]
    assert trouble["waiting"] == 5 and str(port) in trouble["target"]
    daemon.kill()
    daemon.start()
    receiver = Receiver("tcp", port)
    until(lambda: [i for i in ids if not receiver.of(i, 'state="completed"')] == [], "all lines come")
    for run_id in ids:
        assert len(receiver.of(run_id, 'state="completed"')) == 1
    order = [line for line in receiver.lines if 'state="completed"' in line]
    assert [next(i for i in ids if i in line) for line in order] == ids
    until(lambda: daemon.status()["syslog"] == [], "the trouble is over")
    receiver.close()

