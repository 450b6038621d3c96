"""The simulated provider as a process."""

import argparse
import asyncio
import signal
import ssl
from collections.abc import Sequence

from chatvault.fake.server import FakeProvider


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code. Prints `listening on URL` when it is ready."""
    options = _parser().parse_args(argv)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(options))
    else:
        uvloop.run(_serve(options))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chatvault.fake", description="A simulated provider.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--unix", metavar="PATH", help="listen on a unix socket instead")
    parser.add_argument(
        "--pace-ms", type=float, default=0.0, help="wait before each content delta of a stream"
    )
    parser.add_argument("--api-key", help="the one key to accept (default: any or none)")
    parser.add_argument("--marker", default="x-call-id", help="request header whose values /stats lists")
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain (PEM): serve TLS")
    parser.add_argument("--tls-key", metavar="FILE", help="its private key (PEM)")
    return parser


async def _serve(options: argparse.Namespace) -> None:
    tls = None
    if options.tls_cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    fake = FakeProvider(
        options.host,
        options.port,
        unix=options.unix,
        pace_ms=options.pace_ms,
        api_key=options.api_key,
        tls=tls,
        marker=options.marker,
    )
    async with fake:
        print(f"listening on {fake.url}", flush=True)
        await ended.wait()
