"""What the other side could not carry: field paths, each once, in the order they were met."""


class Dropped:
    """`paths` are those of the request that was read, such as `messages[3].content[1].cache_control` or
    `logit_bias`."""

    __slots__ = ("_paths",)

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}

    def add(self, path: str) -> None:
        self._paths[path] = None

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self._paths)

    def __bool__(self) -> bool:
        return bool(self._paths)
