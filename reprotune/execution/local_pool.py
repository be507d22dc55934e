"""The engine local: worker processes on this machine."""

import atexit
import gc
import math
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import multiprocessing.util
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from typing import Any

from reprotune.errors import UserError
from reprotune.execution.pool import ATTEMPTS, Pool, TaskFuture, given_up, may_pass
from reprotune.params import Execution

# Bytes: what a step frees, the next one needs, so glibc keeps it. Convolutional nets train 1.2 times as fast. Older
# releases refuse a greater first one, and then map each larger tensor anew.
_KEPT = {"MALLOC_MMAP_THRESHOLD_": 2**25, "MALLOC_TRIM_THRESHOLD_": 2**30}
_PRELOADED = ("reprotune.search.trial", "reprotune.training.fit", "thop")  # all that a trial needs
_LOOK = 1  # seconds from one look at whether all workers live to the next
_LONGEST = 103 - len("/pymp-abcdefgh/listener-abcdefgh")  # bytes of a folder for sockets: macOS has 103 for a path
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  (multiprocessing makes a folder of its own there)


class LocalPool(Pool):
    """When one worker dies, a process pool loses all its tasks and does not say whose worker it was. So the oldest
    is then run alone: if its worker dies again, it is its own, whatever the timing. So is one that lacked memory.
    """

    def __init__(self, start: Callable[[], ProcessPoolExecutor], workers: int) -> None:
        super().__init__()
        self._start, self._workers = start, workers
        self._begin()

    def _begin(self) -> None:
        self._processes = self._start()
        self._queue: dict[Future[Any], float] = {}  # attempt → since when it runs; workers take the oldest first

    def attempt(self, future: TaskFuture) -> None:
        self._queue = {attempt: since for attempt, since in self._queue.items() if not attempt.done()}
        try:
            future.attempt = self._processes.submit(future.task)
            self._queue[future.attempt] = math.inf
        except (BrokenExecutor, OSError) as error:  # told to whoever awaits it
            # Its pipes are closed under a worker that starts while another one's death breaks the pool: an OSError.
            future.attempt = Future()
            future.attempt.set_exception(error if may_pass(error) else BrokenExecutor(str(error)))

    def wait_for(self, future: TaskFuture, timeout: float | None) -> Any:
        self.pending.remove(future)
        try:
            return self._result(future, timeout)
        except Exception as error:
            if may_pass(error):
                return self._run_alone(future, timeout, error)
            if not future.attempt.done():  # it is overdue
                self._restart()
            raise

    def _result(self, future: TaskFuture, timeout: float | None) -> Any:
        """Of its attempt. `timeout`: seconds from when a worker began with it. One that hangs on the worker for which
        it waits, and that is awaited later, is ended and told so then.
        """
        while not future.attempt.done():
            now, running = time.monotonic(), [attempt for attempt in self._queue if not attempt.done()][: self._workers]
            self._queue |= {attempt: min(now, self._queue[attempt]) for attempt in running}
            ends = {attempt: self._queue[attempt] + (timeout or math.inf) for attempt in running}
            late = [attempt for attempt, end in ends.items() if end <= now]
            if future.attempt in late:
                raise TimeoutError
            if self._has_lost_a_result(future):
                raise BrokenExecutor
            if late:
                for other in [other for other in self.pending if other.attempt in late]:
                    other.set_exception(TimeoutError())
                    self.pending.remove(other)
                self._restart(future)
            else:
                wait(running, min(_LOOK, min(ends.values(), default=math.inf) - now), FIRST_COMPLETED)
        return future.attempt.result()

    def _has_lost_a_result(self, awaited: TaskFuture) -> bool:
        """Whether a worker died as it wrote a result: the pool, which reads it, would wait for the rest for ever."""
        sentinels = [process.sentinel for process in self._started()]
        return bool(multiprocessing.connection.wait(sentinels, 0)) and not wait([awaited.attempt], _LOOK).done

    def drop(self) -> None:
        undone = any(not future.attempt.done() for future in self.pending)
        super().drop()
        if undone:
            self._restart()

    def _run_alone(self, future: TaskFuture, timeout: float | None, last: Exception) -> Any:
        try:
            for _ in range(ATTEMPTS):
                self._end()
                self._begin()
                self.attempt(future)
                try:
                    return self._result(future, timeout)
                except Exception as error:
                    if not may_pass(error):
                        raise
                    last = error
            raise given_up(last)
        finally:
            self._restart()

    def _restart(self, *awaited: TaskFuture) -> None:
        """New workers, and to them all the tasks that the old ones did not finish, the awaited one first."""
        self._end()
        self._begin()
        for future in (*awaited, *self.pending):
            if not _finished(future.attempt):
                self.attempt(future)

    def _end(self) -> None:
        processes = self._started()
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        if processes:  # else what was half written when its writer was killed would be waited for
            self._processes._result_queue._writer.close()  # type: ignore[attr-defined]
        self._processes.shutdown(wait=True, cancel_futures=True)

    def _started(self) -> list[BaseProcess]:
        return list((self._processes._processes or {}).values())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        self._end()


def _finished(attempt: Future[Any]) -> bool:
    return attempt.done() and not attempt.cancelled() and not isinstance(attempt.exception(), BrokenExecutor)


@contextmanager
def started(execution: Execution, workers: int, preloaded: Sequence[str] = _PRELOADED) -> Iterator[Pool]:
    """Worker processes, forked from a server that has imported `preloaded`."""
    del execution
    for limit, size in _KEPT.items():
        os.environ.setdefault(limit, str(size))
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        _place_sockets()
        context.set_forkserver_preload(["reprotune.execution.fork_server", *preloaded])
        atexit.register(_end_server)
        with _signals_left_to_the_coordinator():
            multiprocessing.forkserver.ensure_running()  # imports while the coordinator does; the first task waits
    with _pool(lambda: ProcessPoolExecutor(workers, context, _in_worker), workers) as pool:
        yield pool


def _end_server() -> None:
    """At once: after a refusal it would go on to import, for seconds, and keep open what the coordinator prints to."""
    with suppress(AttributeError, ProcessLookupError):  # a Python that names it otherwise; it was waited for
        if pid := multiprocessing.forkserver._forkserver._forkserver_pid:  # type: ignore[attr-defined]
            os.kill(pid, signal.SIGKILL)


@contextmanager
def _signals_left_to_the_coordinator() -> Iterator[None]:
    """What is started meanwhile never sees Ctrl-C or a closed terminal, while it imports neither; the coordinator gets
    them at the end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    multiprocessing.resource_tracker.ensure_running()  # it ignores Ctrl-C, and lets it through as it starts
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pool(start: Callable[[], ProcessPoolExecutor], workers: int) -> LocalPool:
    try:
        return LocalPool(start, workers)
    except OSError as error:
        needed = "their semaphores need a /dev/shm that can be written (docker run --tmpfs /dev/shm)"
        raise UserError(f"no worker processes can be started ({error}); {needed}") from None


def _place_sockets() -> None:
    """Have multiprocessing put its sockets where their paths are short enough, if the temporary folder's is not."""
    chosen = tempfile.gettempdir()
    if len(os.fsencode(chosen)) > _LONGEST:
        short = next((folder for folder in _SHORT if os.access(folder, os.W_OK)), None)
        if short is None:
            allowed = f"must be {_LONGEST} bytes or less, for a socket's path"
            raise UserError(f"environment: TMPDIR = {chosen!r}: {allowed}")
        tempfile.tempdir = short
        multiprocessing.util.get_temp_dir()  # it remembers the one that it makes
        tempfile.tempdir = chosen


def _in_worker() -> None:
    """A worker leaves Ctrl-C and a closed terminal to its coordinator, and ends when that is gone."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    gc.freeze()  # what the server imported
    gc.enable()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
