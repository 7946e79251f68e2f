"""Prints, as JSON, the task names and metrics of a cluster: cluster_facts.py GCS_ADDRESS DASHBOARD_URL."""

import json
import sys
import urllib.request

import ray
from ray.util.state import list_tasks

ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
names = [task.name for task in list_tasks(address=sys.argv[2], limit=1000)]
metrics = ""
for node in ray.nodes():
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    metrics += urllib.request.urlopen(url, timeout=10).read().decode()
print(
    json.dumps(
        {
            "names": names,
            "metrics": sorted(
                {line.split("{")[0] for line in metrics.splitlines() if line.startswith("ray_mandel")}
            ),
        }
    )
)
