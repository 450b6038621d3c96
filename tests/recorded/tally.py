"""Every exchange of one dialect told in all others, counted pair by pair."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from tests.recorded import answers, errors, requests
from tests.recorded.bedrock_converse import MODELS, Asking
from tests.recorded.clients import Client
from tests.recorded.exchanges import DIALECTS, Exchange, digest
from tests.wire.openai.recordings import gist

KINDS: Final = ("answers", "requests", "errors")


class Count(msgspec.Struct):
    passed: int = 0
    failed: int = 0
    refused: int = 0
    """Requests that the target cannot be asked: answered with 400 and the path of the field."""


class Pair(msgspec.Struct):
    """One dialect told in another. `dropped` counts requests by the names of what was dropped in them;
    `untold` answers by kinds of parts that only their own dialect has; `why` examples of failures by what was
    wrong."""

    answers: Count = msgspec.field(default_factory=Count)
    requests: Count = msgspec.field(default_factory=Count)
    errors: Count = msgspec.field(default_factory=Count)
    dropped: Counter[str] = msgspec.field(default_factory=Counter)
    untold: Counter[str] = msgspec.field(default_factory=Counter)
    why: dict[str, list[str]] = {}

    def count(self, kind: str, exchange: Exchange, wrong: list[str]) -> None:
        count: Count = getattr(self, kind)
        if not wrong:
            count.passed += 1
            return
        count.failed += 1
        self.why.setdefault(f"{kind}: {wrong[0]}", []).append(exchange.id)


class Tally(msgspec.Struct):
    """`unread`: answers that are not of their dialect; `cut`: streams that broke off in the recording."""

    pairs: dict[tuple[str, str], Pair] = {}
    exchanges: Counter[str] = msgspec.field(default_factory=Counter)
    unread: Counter[str] = msgspec.field(default_factory=Counter)
    cut: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, source: str, exchange: Exchange, clients: dict[str, Client]) -> None:
        self.exchanges[source] += 1
        targets = [target for target in DIALECTS if target != source]
        if errors.is_error(exchange):
            for target in targets:
                wrong = errors.judge(source, exchange, target, clients[target])
                self.pair(source, target).count("errors", exchange, wrong)
        elif answers.is_answer(exchange):
            self._answer(source, exchange, targets, clients)
        self._request(source, exchange, targets, clients)

    def pair(self, source: str, target: str) -> Pair:
        return self.pairs.setdefault((source, target), Pair())

    def _answer(
        self, source: str, exchange: Exchange, targets: list[str], clients: dict[str, Client]
    ) -> None:
        try:
            said = answers.read(source, exchange)
        except ValueError:
            self.unread[source] += 1
            return
        failed = answers.failure(said)
        if failed is None and not gist([event for batch in said for event in batch]).whole:
            self.cut[source] += 1
            return
        for target in targets:
            pair = self.pair(source, target)
            if failed is not None:
                wrong = errors.judge_in_stream(said, failed, target, clients[target])
                pair.count("errors", exchange, wrong)
                continue
            pair.count("answers", exchange, answers.judge(said, target, clients[target]))
            pair.untold.update(set(answers.untold(said)))

    def _request(
        self, source: str, exchange: Exchange, targets: list[str], clients: dict[str, Client]
    ) -> None:
        asked = requests.read(source, exchange)
        if asked is None:
            return
        asking = Asking(MODELS[digest(exchange)[0] % len(MODELS)])
        judges: dict[str, Client | Asking] = {target: clients[target] for target in targets}
        for target, judge in {**judges, "bedrock.converse": asking}.items():
            pair = self.pair(source, target)
            try:
                wrong, dropped = requests.judge(asked, target, judge)
            except requests.NotForIt:
                pair.requests.refused += 1
                continue
            pair.count("requests", exchange, wrong)
            pair.dropped.update({requests.shape(path) for path in dropped})

    def rows(self) -> Iterator[tuple[str, str, Pair]]:
        for (source, target), pair in self.pairs.items():
            yield source, target, pair
