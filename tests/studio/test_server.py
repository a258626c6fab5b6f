"""The server, by a plain client: who is let in, that each gets what is new once it drew the last,
and that nobody else is harmed by one who is slow, foreign or mad.
"""

import contextlib
import json
import socket
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from tests.wait import until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import byway.studio.page as page_module
import byway.studio.server as server_module
from byway.core.errors import ConfigError, RunError
from byway.studio.commands import Command
from byway.studio.frames import decode, encode
from byway.studio.server import LARGEST, MOST_CLIENTS, Server

WAIT = 5


@contextlib.contextmanager
def served(*given):
    one = Server(*given)
    one.start()
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def server(live, page, monkeypatch):
    monkeypatch.setattr(server_module, "page", lambda: page)
    with served(live) as one:
        yield one


def get(server, path, host=None):
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=WAIT)) as there:
        there.request("GET", path, headers={} if host is None else {"Host": host})
        answer = there.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def joined(server, token=None, origin=None, host="127.0.0.1"):
    token = server.token if token is None else token
    address = f"ws://{host}:{server.port}/live?token={token}"
    own = f"http://{host}:{server.port}"
    origin = own if origin is None else origin or None
    return connect(address, origin=origin, open_timeout=WAIT, max_size=None)


def state(client):
    return decode(client.recv(timeout=WAIT))[-1].head["text"]


def ready(client):
    client.send(json.dumps({"do": "ready"}))


def test_it_listens_on_this_machine_alone_with_a_token_that_cannot_be_guessed(server, live, page):
    assert server.address == f"http://127.0.0.1:{server.port}/?token={server.token}"
    assert len(server.token) >= 32
    with served(live) as other:
        assert other.token != server.token
    there = socket.socket()
    there.settimeout(1)
    own = socket.gethostbyname(socket.gethostname())
    if not own.startswith("127."):
        with pytest.raises(OSError):
            there.connect((own, server.port))
    there.close()


def test_the_page_is_for_those_who_know_the_token(server):
    path = urlsplit(server.address)
    status, headers, body = get(server, f"{path.path}?{path.query}")
    assert status == 200 and b"studio" in body
    for path in ("/", "/?token=", "/?token=x", f"/?token={server.token}x", "/studio.json"):
        assert get(server, path)[0] == 403
    assert get(server, f"/studio.json?token={server.token}")[2] == b'{"mode":"live"}'
    for path in ("/assets/studio.js", "/icon.svg"):  # which say nothing of what is trained
        assert get(server, path)[0] == 200
    for path in ("/nothing", "/assets/../index.html", "/assets/%2e%2e/index.html", "/assets/"):
        assert get(server, path)[0] in (403, 404)
    assert "'self'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_host_is_refused(server, host):
    # A page elsewhere whose name was made to point here (DNS rebinding).
    assert get(server, f"/?token={server.token}", host)[0] in (400, 403)
    assert get(server, "/assets/studio.js", host)[0] in (400, 403)


@pytest.mark.parametrize(
    ("token", "origin"),
    [
        ("", None),
        ("wrong", None),
        ("é", None),
        (None, "http://evil.example"),
        (None, "http://127.0.0.1:1"),
        (None, "null"),
        (None, ""),
    ],
)
def test_strangers_get_no_socket(server, live, token, origin):
    with pytest.raises((InvalidStatus, ConnectionClosed)), joined(server, token, origin) as client:
        client.recv(timeout=WAIT)
    assert live.watchers == 0 and live.asked == []


def test_a_client_gets_what_is_new_once_it_has_drawn_the_last(server, live):
    with joined(server) as client:
        assert state(client) == "hello"
        for text in "abc":
            live.say(text)
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.3)
        ready(client)
        assert state(client) == "c"  # a and b are gone
        ready(client)
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.3)
        live.say("d")
        assert state(client) == "d"
        assert live.watchers == 1
    until(lambda: live.watchers == 0)


def test_nothing_is_deflated_for_a_browser_on_the_same_machine(server):
    with joined(server) as client:
        assert client.request.headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
        assert "Sec-WebSocket-Extensions" not in client.response.headers


def test_what_comes_together_is_one_message(server, live):
    with joined(server) as client:
        assert state(client) == "hello"
        ready(client)
        time.sleep(0.2)
        for topic in ("units", "sample", "state"):
            live.board.post(topic, encode(topic, 0, 1, {"text": topic}))
        heads = [frame.head["topic"] for frame in decode(client.recv(timeout=WAIT))]
        assert sorted(heads) == ["sample", "state", "units"]


def test_commands_reach_the_simulation_and_are_answered(server, live):
    with joined(server) as client:
        state(client)
        client.send(json.dumps({"do": "step", "id": 3, "value": 7}))
        assert json.loads(client.recv(timeout=WAIT)) == {"id": 3, "ok": True}
        assert live.asked == [Command("step", 7)]
        live.deaf = True
        client.send(json.dumps({"do": "run", "id": 4}))
        assert "waiting" in json.loads(client.recv(timeout=WAIT))["error"]


@pytest.mark.parametrize("mad", ["", "{", '{"do": "step", "value": 1e999}', b"\xff", "[" * 9999])
def test_nonsense_is_answered_in_words_and_harms_nobody(server, live, mad):
    with joined(server) as client, joined(server) as other:
        state(client), state(other)
        client.send(mad)
        assert "error" in json.loads(client.recv(timeout=WAIT))
        assert live.asked == []
        client.send(json.dumps({"do": "run", "id": 1}))
        assert json.loads(client.recv(timeout=WAIT)) == {"id": 1, "ok": True}
        ready(other)
        live.say("on")
        assert state(other) == "on"


def test_what_is_too_large_ends_that_client_alone(server, live):
    with joined(server) as other:
        state(other)
        with contextlib.suppress(ConnectionClosed), joined(server) as client:
            state(client)
            client.send("x" * (LARGEST + 1))
            client.recv(timeout=WAIT)
        until(lambda: live.watchers == 1)
        assert live.asked == []
        ready(other)
        live.say("on")
        assert state(other) == "on"


def test_a_stalled_client_costs_nobody_anything(server, live):
    with joined(server) as stalled, joined(server) as other:
        state(other)
        for number in range(30):
            live.say(str(number), size=2**20)
            ready(other)
            until_text = state(other)
        assert until_text == "29"
        # It never read: one bundle waits for it, not thirty.
        assert state(stalled) == "hello"
        with pytest.raises(TimeoutError):
            stalled.recv(timeout=0.3)


def test_twenty_clients_see_the_same_and_too_many_are_turned_away(server, live):
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(joined(server)) for _ in range(20)]
        assert {state(one) for one in many} == {"hello"}
        live.say("same")
        for one in many:
            ready(one)
        assert {state(one) for one in many} == {"same"}
        for _ in range(MOST_CLIENTS - 20):
            state(stack.enter_context(joined(server)))
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            state(stack.enter_context(joined(server)))


def test_a_recording_is_played_without_anything_that_learns(page, monkeypatch, tmp_path):
    monkeypatch.setattr(server_module, "page", lambda: page)
    path = tmp_path / "a.bywayrec"
    path.write_bytes(b"BYWAYREC\1\0\0\0")
    with served(None, path) as server:
        told = json.loads(get(server, f"/studio.json?token={server.token}")[2])
        assert told == {"mode": "replay", "file": f"recording?token={server.token}"}
        assert get(server, f"/{told['file']}")[2] == path.read_bytes()
        assert get(server, "/recording")[0] == 403
        with pytest.raises((InvalidStatus, ConnectionClosed)), joined(server) as client:
            client.recv(timeout=WAIT)


def test_what_was_recorded_is_played_beside_what_goes_on(live, page, monkeypatch, tmp_path):
    """A recording that goes on is sent as long as it is."""
    monkeypatch.setattr(server_module, "page", lambda: page)
    with served(live) as server:
        mode = lambda more: json.loads(get(server, f"/studio.json?token={server.token}{more}")[2])
        file = f"/recording?token={server.token}"
        assert mode("&recorded=") == {"mode": "live"}
        assert get(server, file)[0] == 404
        live.recorded = tmp_path / "a.bywayrec"
        live.recorded.write_bytes(bytes(range(256)) * 1000)
        assert mode("") == {"mode": "live"}
        assert mode("&recorded=") == {"mode": "replay", "file": file[1:]}
        assert get(server, file)[2] == live.recorded.read_bytes()
        assert get(server, "/recording")[0] == 403


def test_an_address_has_to_be_named(live, page, monkeypatch):
    monkeypatch.setattr(server_module, "page", lambda: page)
    for host in ("0.0.0.0", "::"):  # noqa: S104
        with pytest.raises(ConfigError, match="one address"):
            Server(live, host=host)
    with served(live) as one, pytest.raises(ConfigError, match="port"):
        Server(live, port=one.port)
    with pytest.raises(ConfigError, match="port"):
        Server(live, port=70_000)
    with pytest.raises(ConfigError, match="address of this machine"):
        Server(live, host="192.0.2.1")


def test_a_page_that_was_not_built_says_how(live, monkeypatch, tmp_path):
    monkeypatch.setattr(page_module, "files", lambda name: tmp_path)
    with pytest.raises(RunError, match="make studio"):
        Server(live)


def test_who_does_not_draw_watches_no_more_until_they_do(server, live, monkeypatch):
    monkeypatch.setattr(server_module, "STALLED", 0.1)
    with joined(server) as client:
        client.recv(timeout=WAIT)
        assert live.clients == 1
        until(lambda: live.watchers == 0)
        client.send('{"do": "ready"}')
        until(lambda: live.watchers == 1)
    until(lambda: live.clients == live.watchers == 0)
