"""The server: hands the page and what is on the board to browsers, and what they ask for to the
simulation.

It listens on this machine alone unless an address is named. A client needs the token of the address
that was printed, and comes from that page and no other; the page loads nothing from elsewhere. Each
client has one credit: it gets what is new once it has said that it drew what it got.
"""

import asyncio
import contextlib
import hmac
import ipaddress
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from byway.core.errors import ConfigError
from byway.core.given import require_whole
from byway.studio.board import Board, Seen
from byway.studio.commands import Command, Limits, Refused, read
from byway.studio.frames import bundle
from byway.studio.page import HERE, page

# These are this machine, whatever the address that it listens on.
OURS = {HERE, "localhost", "::1"}
# The largest message of a client [B]; clients at once.
LARGEST, MOST_CLIENTS = 2**18, 64
# The shortest time between two bundles; how long a bundle waits for what comes along with what is
# new: state, units and sample are posted one after another [s].
PAUSE, TOGETHER = 0.05, 0.02
# What of a file is read at once [B].
PART = 2**16
# How long a client may take to draw what it got before it counts as one that looks away [s].
STALLED = 1.0
# A notebook of this machine may frame the page.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
REFUSED = 4403
_FORBIDDEN = PlainTextResponse("the address that was printed has a token", status_code=403)


@runtime_checkable
class Live(Protocol):
    """What a server needs of a simulation."""

    board: Board
    clients: int
    watchers: int
    recorded: Path | None

    @property
    def limits(self) -> Limits:
        """What may be asked for."""
        ...

    def ask(self, command: Command) -> bool:
        """Ask for something; whether it was heard."""
        ...


class Server:
    """Serves a live simulation, or a recording, in a thread of its own.

    Args:
        live: what is watched; None where a recording is played.
        recording: the recording; None where something is watched.
        host: the address that browsers know it by; this machine alone by default.
        port: 0 for a free one.
        token: what a client has to know; drawn by default.

    Attributes:
        token: the same.

    Raises:
        ConfigError: the address or the port cannot be had.
        RunError: the page was not built.
    """

    def __init__(
        self,
        live: Live | None,
        recording: Path | None = None,
        host: str = HERE,
        port: int = 0,
        token: str | None = None,
    ):
        self._live, self._recording = live, recording
        self.token = token or secrets.token_urlsafe(24)
        routes = [
            Route("/", self._index),
            Route("/studio.json", self._mode),
            Route("/icon.svg", lambda request: FileResponse(page() / "icon.svg")),
            Route("/recording", self._file),
            WebSocketRoute("/live", self._socket),
            Mount("/assets", StaticFiles(directory=page() / "assets")),
        ]
        app = Starlette(routes=routes, middleware=[Middleware(_Guard, names=OURS | {host})])
        config = uvicorn.Config(
            app,
            log_config=None,  # logging is the program's own
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=LARGEST,
            ws_per_message_deflate=False,  # mostly to this machine: it takes longer than it saves
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        self._host, self._listening = host, _listen(host, port)
        self.port: int = self._listening.getsockname()[1]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._new: set[asyncio.Event] = set()

    @property
    def address(self) -> str:
        """Where a browser finds it, token and all."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/?token={self.token}"

    def start(self) -> None:
        """Begin to serve."""
        if self._live is not None:
            self._live.board.posted = self._posted
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._listening.close()

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._listening])

        asyncio.run(serve())

    def _posted(self) -> None:
        """Something is new: from any thread. Whoever was told before, and has not looked at the
        board since, will see this too.
        """
        loop = self._loop
        if loop is not None and not all(event.is_set() for event in tuple(self._new)):
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for event in self._new:
            event.set()

    def _index(self, request: Request) -> Response:
        return FileResponse(page() / "index.html") if self._knows(request) else _FORBIDDEN

    def _mode(self, request: Request) -> Response:
        if not self._knows(request):
            return _FORBIDDEN
        played = self._live is None or ("recorded" in request.query_params and self._played)
        file = f"recording?token={self.token}"
        return JSONResponse({"mode": "replay", "file": file} if played else {"mode": "live"})

    def _file(self, request: Request) -> Response:
        if not self._knows(request):
            return _FORBIDDEN
        if self._played is None:
            return PlainTextResponse("nothing is recorded", status_code=404)
        # One that goes on is sent as long as it is now.
        file = self._played.open("rb")
        size = os.fstat(file.fileno()).st_size
        headers = {"Content-Length": str(size)}
        kind = "application/octet-stream"
        return StreamingResponse(_parts(file, size), headers=headers, media_type=kind)

    @property
    def _played(self) -> Path | None:
        return self._recording if self._live is None else self._live.recorded

    def _knows(self, connection: HTTPConnection) -> bool:
        given = connection.query_params.get("token", "")
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def _socket(self, socket: WebSocket) -> None:
        live = self._live
        ours = _same_origin(socket)
        if live is None or not ours or not self._knows(socket):
            await socket.close(REFUSED)
            return
        if live.clients >= MOST_CLIENTS:
            await socket.close(1013)
            return
        await socket.accept()
        live.clients += 1
        credit, new = asyncio.Event(), asyncio.Event()
        credit.set()
        self._new.add(new)
        sending = asyncio.create_task(_send(socket, live, credit, new))
        try:
            await self._hear(socket, live, credit)
        except WebSocketDisconnect:
            pass
        finally:
            live.clients -= 1
            self._new.discard(new)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sending

    async def _hear(self, socket: WebSocket, live: Live, credit: asyncio.Event) -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            text = message.get("text") or message.get("bytes") or ""
            number = None
            try:
                number, command = read(text, live.limits)
                if command.do == "ready":
                    credit.set()
                    continue
                if not live.ask(command):
                    raise Refused("too many commands are waiting; ask again")
                answer = {"id": number, "ok": True}
            except Refused as problem:
                answer = {"id": number, "error": str(problem)}
            await socket.send_text(json.dumps(answer))


async def _send(socket: WebSocket, live: Live, credit: asyncio.Event, new: asyncio.Event) -> None:
    """Send what is new whenever the client has drawn what it got. One that stalls, as a page in a
    hidden tab does, watches no more, until it draws again: nothing is computed for it.
    """
    seen = Seen()
    live.watchers += 1
    try:
        while True:
            if not credit.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(credit.wait(), STALLED)
            if not credit.is_set():
                live.watchers -= 1
                try:
                    await credit.wait()
                finally:
                    live.watchers += 1
            new.clear()
            frames, seen = await asyncio.to_thread(live.board.since, seen)
            if frames:
                credit.clear()
                await socket.send_bytes(bundle(frames))
                await asyncio.sleep(PAUSE)
            else:
                await new.wait()
                await asyncio.sleep(TOGETHER)
    finally:
        live.watchers -= 1


class _Guard:
    """Lets requests through that name this server as their host, and says in each answer that the
    page loads nothing from elsewhere.
    """

    def __init__(self, app: ASGIApp, names: set[str]):
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        host = HTTPConnection(scope).headers.get("host", "")
        if urlsplit(f"//{host}").hostname not in self._names:
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).close(REFUSED)
            else:
                answer = PlainTextResponse("another host", status_code=403)
                await answer(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                held = [(k, v) for k, v in message["headers"] if k.lower() != b"cache-control"]
                ours = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = held + ours
            await send(message)

        await self._app(scope, receive, sent)


def _parts(file: BinaryIO, size: int) -> Iterator[bytes]:
    """So many bytes of a file, which is closed then."""
    with file:
        while size > 0 and (part := file.read(min(size, PART))):
            size -= len(part)
            yield part


def _same_origin(connection: HTTPConnection) -> bool:
    """Whether a websocket was opened by a page of this very server."""
    origin = urlsplit(connection.headers.get("origin", ""))
    return origin.scheme in ("http", "https") and origin.netloc == connection.headers.get("host")


def _listen(host: str, port: int) -> socket.socket:
    require_whole("port", port, 0, 2**16 - 1, "leave it out for a free one")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            raise ConfigError(
                f"host = {host}",
                "one address, which browsers name",
                "name this machine's address in the network that is to reach it",
            )
    made = None
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen()
    except (OSError, OverflowError) as problem:
        if made is not None:
            made.close()
        raise ConfigError(
            f"host = {host} and port = {port}: {problem}",
            "an address of this machine, and a port that is free",
            "leave the port out for a free one",
        ) from problem
    return made
