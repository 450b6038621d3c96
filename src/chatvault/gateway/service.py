"""A worker at work: served from when control has welcomed it until it is told to stop, then drained."""

import asyncio
from collections.abc import Callable

from chatvault.core.errors import OperatorError
from chatvault.gateway.worker import TICK, Worker, WorkerOptions


async def run_worker(
    options: WorkerOptions,
    status: Callable[[dict[str, object]], None],
    stop: asyncio.Event,
    drain: Callable[[], float],
) -> None:
    """Serve until `stop` is set, then drain for `drain()` seconds. Raises OperatorError where the worker
    cannot start."""
    await run(Worker(options, asyncio.get_running_loop()), options, status, stop, drain)


async def run(
    worker: Worker,
    options: WorkerOptions,
    status: Callable[[dict[str, object]], None],
    stop: asyncio.Event,
    drain: Callable[[], float],
) -> None:
    """`run_worker` with a worker that is made already; it is closed at the end."""
    try:
        async with asyncio.TaskGroup() as group:
            feed = group.create_task(worker.feed.run())
            shared = group.create_task(worker.shared.run())
            ready = group.create_task(worker.ready.wait())
            stopped = group.create_task(stop.wait())
            await asyncio.wait((ready, stopped), return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if not stop.is_set():
                await _serve(worker, options, status, stop)
                await worker.drain(drain)
            stopped.cancel()
            feed.cancel()
            shared.cancel()
    finally:
        worker.close()


async def _serve(
    worker: Worker, options: WorkerOptions, status: Callable[[dict[str, object]], None], stop: asyncio.Event
) -> None:
    try:
        server = await worker.loop.create_server(worker.connect, sock=options.listener, backlog=4096)
    except OSError as error:
        raise OperatorError(f"The worker cannot listen: {error}.") from error
    status({"ready": True})
    while not stop.is_set():
        worker.tick()
        try:
            async with asyncio.timeout(TICK):
                await stop.wait()
        except TimeoutError:
            continue
    server.close()
