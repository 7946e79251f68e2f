"""Tells in one line each which machines have joined or left, and what that means for the jobs."""

from __future__ import annotations

from collections import Counter

from mandel.payload.fields import JsonObject


def alive(nodes: list[JsonObject]) -> list[JsonObject]:
    """Those of the cluster's nodes that live."""
    return [node for node in nodes if node.get("alive") is not False]


def changes(before: list[JsonObject], after: list[JsonObject]) -> list[str]:
    """One line for each node that joined or left between two looks at the cluster.

    Args:
        before, after: the cluster's nodes, as the driver tells of them.
    """
    old, new = ({node["id"]: node for node in alive(nodes)} for nodes in (before, after))
    slots = (
        "no slots"
        if not any(map(_slots, new.values()))
        else _words(sum(map(_slots, new.values()), Counter[str]()))
    )
    lines = [
        f"{_name(node)} joined with {_words(_slots(node))}; the cluster has {slots} now, and jobs use them at once"
        for key, node in new.items()
        if key not in old
    ]
    return lines + [
        f"{_name(node)} left, and with it {_words(_slots(node))}; {slots} remain. What it was rendering is rendered "
        "again on them" + ("" if any(map(_slots, new.values())) else " when there are any: jobs wait")
        for key, node in old.items()
        if key not in new
    ]


def _name(node: JsonObject) -> str:
    where = " ".join(filter(None, (node.get("host"), f"({node['address']})" if node.get("address") else "")))
    return f"machine {where or node['id'][:12]}"


def _slots(node: JsonObject) -> Counter[str]:
    resources = node.get("resources") or {}
    return Counter(
        {kind: int(resources.get(kind, 0)) for kind in ("CPU", "GPU") if resources.get(kind, 0) >= 1}
    )


def _words(slots: Counter[str]) -> str:
    return " and ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in slots.items()) or "no slots"
