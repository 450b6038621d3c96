"""The recorder's process: its loop in a thread of its own, so that the event loop is free to hear that it
shall stop."""

import asyncio
import threading
from collections.abc import Callable

from chatvault.core.errors import OperatorError
from chatvault.recorder.options import RecorderOptions
from chatvault.recorder.recorder import Recorder


async def run_recorder(
    options: RecorderOptions, status: Callable[[dict[str, object]], None], stop: asyncio.Event
) -> None:
    """Run until `stop` is set and the ledger is level with the journal (`options.last_pass` seconds at most).

    `status` is called on this event loop: with `ready` once the recorder follows the journal, and with
    `error` and `code` when it cannot (texts; None when it can again). A ledger that cannot be opened does not
    keep it from being ready, for no call waits for it: it is tried again until it can. Raises OperatorError
    for options that cannot be met.
    """
    loop = asyncio.get_running_loop()

    def tell(news: dict[str, object]) -> None:
        loop.call_soon_threadsafe(status, news)

    def told(error: OperatorError | None) -> None:
        tell({"error": error and error.message, "code": error and error.code})

    def begun() -> None:
        tell({"ready": True})

    recorder = Recorder(options, told)
    halt = threading.Event()
    running = asyncio.create_task(asyncio.to_thread(recorder.run, halt, begun))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Cancelled or not, the thread is waited for: it holds the ledger open, and its end is bounded.
        halt.set()
        stopped.cancel()
        await running
