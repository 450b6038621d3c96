"""Real tokenizers, of the optional package splintr-rs (MIT licence), whose wheel holds their vocabularies. The only
file that imports it: control counts with it, never a worker."""

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from chatvault.core.errors import OperatorError


class Tokenizers:
    """One for each vocabulary, loaded at its first use, which takes some tens of milliseconds. Not for an event loop.
    Raises OperatorError where the package is not installed."""

    def __init__(self) -> None:
        try:
            from splintr import Tokenizer

            self._version = version("splintr-rs")
        except (ImportError, PackageNotFoundError) as error:
            raise OperatorError(
                "Tokens cannot be counted: the package splintr-rs is not installed. Install "
                "chatvault[tokenizers].",
                code="tokenizers_missing",
            ) from error
        self._load: Callable[[str], Any] = Tokenizer.from_pretrained
        self._loaded: dict[str, Any] = {}

    def name(self, vocabulary: str) -> str:
        """What goes on record."""
        return f"splintr-rs {self._version} {vocabulary}"

    def count(self, vocabulary: str, texts: Iterable[str]) -> int:
        """The tokens of all texts together. Marks that mean something to the model are text here."""
        tokenizer = self._loaded.get(vocabulary)
        if tokenizer is None:
            tokenizer = self._loaded[vocabulary] = self._load(vocabulary)
        return sum(len(tokenizer.encode_ordinary(text)) for text in texts)
