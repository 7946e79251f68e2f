"""Refuses payloads that the cluster could not hold, as far as the cluster is known."""

from __future__ import annotations

from mandel.payload.fields import JsonObject
from mandel.payload.payload import Payload
from mandel.plan.memory_needs import check_frame, check_held
from mandel.service.jobs.cluster_nodes import alive


def check(payload: Payload, cluster: JsonObject) -> None:
    """Lets a payload pass whose strips and frames the cluster can hold, or while no driver has told of one.

    Args:
        cluster: what the driver told: ``store`` (bytes of the object store), ``nodes``. The driver itself looks again.

    Raises:
        PayloadError: JOB_TOO_BIG.
    """
    memory = [
        node["resources"]["memory"]
        for node in alive(cluster.get("nodes", ()))
        if (node.get("resources") or {}).get("memory")
    ]
    if memory:
        check_frame(payload.frame_width, payload.frame_height, int(max(memory)))
    for zoom in payload.shared_zooms if cluster.get("store") else ():
        check_held(zoom, float(payload.strip_density), cluster["store"])
