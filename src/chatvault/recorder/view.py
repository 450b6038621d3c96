"""What can be made of the journal: the ledger is the first; metrics, traces, alerts and sinks are others
of its kind."""

from typing import Protocol

from chatvault.ledger.batch import Batch


class View(Protocol):
    def apply(self, batch: Batch) -> None:
        """Take a batch, whole or not at all. After an OperatorError the same lines come again, perhaps in
        another batch; so will those of a batch that was applied, if the recorder dies before the ledger
        has its position. A view must bear that."""
