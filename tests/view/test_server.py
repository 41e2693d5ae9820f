"""The server as somebody hostile meets it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading

import pytest

from osm.errors import ConfigError
from osm.view.find import open_collection
from osm.view.server import ViewServer
from osm.view.site import Site


@pytest.fixture(scope="module")
def server(comparison):
    with ViewServer(Site(open_collection(comparison))) as running:
        yield running


def ask(server, path, method="GET", headers=None, body=None):
    """Status, headers and body of one request, sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        # http.client itself refuses some of what is sent here
        connection._validate_path = lambda url: None
        connection.request(method, path, body=body, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def raw(server, text):
    """The answer to bytes."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as line:
        line.sendall(text.encode())
        line.shutdown(socket.SHUT_WR)
        found = b""
        while block := line.recv(65536):
            found += block
    return found.decode("latin1")


def test_the_page_is_served_to_who_has_the_token(server):
    status, headers, body = ask(server, f"/{server.token}/")
    assert status == 200
    assert body.startswith(b"<!doctype html>")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "osm"
    assert headers["Access-Control-Allow-Origin"] is None
    assert server.token.encode() not in body
    assert not re.search(rb"(https?:)?//", body)  # nothing from elsewhere
    status, headers, nothing = ask(server, f"/{server.token}/", "HEAD")
    assert (status, nothing, int(headers["Content-Length"])) == (200, b"", len(body))


def test_it_listens_on_this_machine_only(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url.startswith(f"http://127.0.0.1:{server.server_port}/")
    # another address of this machine does not answer; all of 127/8 is this machine, and no other is bound
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.server_port), timeout=5)


@pytest.mark.parametrize(
    "path",
    ["/", "", "/x/", "/{half}/", "/{token}", "/{token}x/", "/x/{token}/", "/?token={token}",
     "http://127.0.0.1/{token}/", "/collection", "/page.js"],
)  # fmt: skip
def test_without_the_token_nothing_is_said(server, path):
    where = path.format(token=server.token, half=server.token[:12])
    status, _, body = ask(server, where)
    assert status == 403
    assert server.token.encode() not in body


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd", "/etc/passwd", "//etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd",
        "..\\..\\etc\\passwd", "page.js/../../server.py", "%00", "page/", "cells/", "plan.json", "scene/..%2f0",
        "file:///etc/passwd", "tile/0/0/0/../0", "link", ".", "..", "./page.js", "page.js%00.png",
    ],
)  # fmt: skip
def test_no_address_leads_to_a_file(server, comparison, path):
    link = comparison / "link"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    status, _, body = ask(server, f"/{server.token}/{path}")
    assert status == 404
    assert b"root:" not in body
    assert json.loads(body)["error"]


@pytest.mark.parametrize("path", ["/../etc/passwd", "/%2e%2e/etc/passwd", "/{token}/../{token}x/", "/..;/{token}/"])
def test_a_climb_in_front_of_the_token_is_no_token(server, path):
    status, _, body = ask(server, path.format(token=server.token))
    assert status in (403, 404)
    assert b"root:" not in body


@pytest.mark.parametrize(
    "host",
    ["evil.example:{port}", "127.0.0.1.evil.example:{port}", "evil.example", "", "localhost.evil:{port}", "127.0.0.1",
     "127.0.0.1:{port}@evil.example", "127.0.0.1:x", "[::1]:{port}", "0.0.0.0:{port}"],
)  # fmt: skip
def test_another_name_is_refused(server, host):
    # a page elsewhere that points its own name at this address
    status, _, body = ask(server, f"/{server.token}/", headers={"Host": host.format(port=server.server_port)})
    assert status == 403
    assert b"<!doctype" not in body


def test_names_of_this_machine_and_of_a_tunnel_are_taken(server):
    for host in (f"localhost:{server.server_port}", "127.0.0.1:8000"):
        assert ask(server, f"/{server.token}/", headers={"Host": host})[0] == 200


def test_no_name_or_two_are_refused(server):
    line = f"GET /{server.token}/ HTTP/1.1\r\nConnection: close\r\n"
    assert raw(server, f"{line}\r\n").startswith("HTTP/1.1 403 ")
    twice = f"Host: 127.0.0.1:{server.server_port}\r\nHost: evil.example:1\r\n"
    assert raw(server, f"{line}{twice}\r\n").startswith("HTTP/1.1 403 ")
    assert "<!doctype" not in raw(server, f"GET /{server.token}/\r\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_it_only_reads(server, method):
    status, headers, _ = ask(server, f"/{server.token}/scenes", method, body=b"x" * 100)
    assert (status, headers["Allow"], headers["Connection"]) == (405, "GET, HEAD", "close")


def test_a_body_cannot_hide_a_second_request(server):
    inner = f"GET /{server.token}/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"
    head = f"GET /{server.token}/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: {len(inner)}\r\n\r\n"
    answer = raw(server, head + inner)
    assert answer.startswith("HTTP/1.1 400 ")
    assert answer.count("HTTP/1.1") == 1


def test_errors_of_the_protocol_have_the_same_limits(server):
    # too little for an answer with a head
    assert raw(server, "NON<b>SENSE\r\n\r\n") == "400\n"
    for text in (f"BREW /{server.token}/ HTTP/1.1\r\n\r\n", f"GET /{'x' * 70_000} HTTP/1.1\r\n\r\n"):
        answer = raw(server, text)
        assert re.match(r"HTTP/1\.1 (414|501) ", answer), answer[:80]
        assert "default-src 'none'" in answer
    assert ask(server, f"/{server.token}/scenes?{'&'.join('a=1' for _ in range(99))}")[0] == 400


def test_several_connections_at_once(server):
    found = []

    def look():
        found.append([ask(server, f"/{server.token}/tile/0/{level}/0/0")[0] for level in (0, 1)])

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[200, 200]] * 8


def test_a_taken_port_is_one_line(server):
    with pytest.raises(ConfigError, match=f"--port {server.server_port}"):
        ViewServer(server.site, server.server_port)


def test_tokens_differ_and_cannot_be_guessed(server):
    with ViewServer(server.site) as other:
        assert other.token != server.token
        assert len(other.token) >= 32
        assert ask(other, f"/{server.token}/")[0] == 403


def test_nothing_else_is_connected_to(comparison, monkeypatch):
    # every connection and every question for a name of this process goes through these
    asked = []
    for name in ("getaddrinfo", "gethostbyaddr", "gethostbyname", "getfqdn"):
        monkeypatch.setattr(socket, name, lambda *words, _name=name: asked.append((_name, words)))
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda line, place: asked.append(place) or connect(line, place))
    with ViewServer(Site(open_collection(comparison))) as running:
        with socket.socket() as line:
            line.connect(("127.0.0.1", running.server_port))
            head = f"GET /{running.token}/scene/0?a=0 HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n"
            line.sendall(head.encode())
            assert line.recv(100).startswith(b"HTTP/1.1 200")
        assert asked == [("127.0.0.1", running.server_port)]
