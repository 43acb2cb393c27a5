"""What was evicted lately, so that a miss can name the eviction that caused it (`RadixTree.explain`).

A ghost hangs at the place where the evicted tokens began: behind `position` tokens of a node, with the first token
that is gone. It costs nothing to keep exact: it moves with its node's splits, and goes when its place goes or when the
token comes back. The number of ghosts is bounded; the oldest are forgotten.
"""

from __future__ import annotations

from .node import Node


class Ghost:
    """Tokens from `position` on, the first being `token`, were evicted under `node` at `tick` for `for_run`."""

    __slots__ = ("for_run", "node", "position", "tick", "token")

    def __init__(self, node: Node, position: int, token: int, tick: int, for_run: int | str) -> None:
        self.node = node
        self.position = position
        self.token = token
        self.tick = tick
        self.for_run = for_run

    @property
    def key(self) -> tuple[int, int]:
        return self.position, self.token


class GhostList:
    """The last `limit` ghosts, oldest first; each also stands in its node's `ghosts`."""

    __slots__ = ("_ghosts", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._ghosts: dict[Ghost, None] = {}

    def __len__(self) -> int:
        return len(self._ghosts)

    def add(self, node: Node, position: int, token: int, tick: int, for_run: int | str) -> Node | None:
        """Remember that the tokens from `position` on, the first being `token`, were evicted behind a place of `node`.

        Returns:
            The node of the ghost that was forgotten for it, if any.
        """
        ghost = Ghost(node, position, token, tick, for_run)
        self.drop(node, ghost.key)
        node.ghosts[ghost.key] = ghost
        self._ghosts[ghost] = None
        if len(self._ghosts) <= self.limit:
            return None
        oldest = next(iter(self._ghosts))
        self.drop(oldest.node, oldest.key)
        return oldest.node

    def drop(self, node: Node, key: tuple[int, int]) -> None:
        """Forget the ghost at `key`, if there is one: its tokens are back."""
        ghost = node.ghosts.pop(key, None)
        if ghost is not None:
            del self._ghosts[ghost]

    def cut(self, node: Node) -> None:
        """Forget the ghosts at places that `node` has lost; it has those in (start, end]."""
        for position, token in list(node.ghosts):
            if position > node.end:
                self.drop(node, (position, token))

    @staticmethod
    def split(upper: Node, lower: Node) -> None:
        """`upper` took over the first tokens of `lower`, and with them the ghosts of its places."""
        for key, ghost in list(lower.ghosts.items()):
            if ghost.position <= upper.end:
                del lower.ghosts[key]
                upper.ghosts[key] = ghost
                ghost.node = upper
