"""Work that is due now and then: makes room in DB/, and stores states that could not be stored before."""

from __future__ import annotations

import logging
import threading

from mandel.service.jobs.registry import Registry

_log = logging.getLogger("mandel")

_SECONDS = 2.0
_BUSY_SECONDS = 0.02  # while there is more to evict: others have their turn


class Housekeeper:
    """A thread of its own, so that evicting holds up neither clients nor the driver."""

    def __init__(self, registry: Registry):
        self._registry = registry
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeper")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when a turn under way is over."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            pause = _SECONDS
            try:
                self._registry.save()
                if self._registry.make_room():
                    pause = _BUSY_SECONDS
            except Exception as error:  # a fault of ours; the service must go on
                _log.error("housekeeping: INTERNAL: %r", error)
