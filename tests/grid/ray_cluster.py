"""A Ray cluster of two nodes on this machine, until standard input ends.

Prints the address, and the number of the process that keeps the second node alive.
Each line that it reads ends the second node, if it lives, and begins another.
"""

import sys

from ray.cluster_utils import Cluster

if __name__ == "__main__":
    limits = {"num_cpus": 1, "object_store_memory": 200_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=limits)
    node = cluster.add_node(**limits)
    while True:
        raylet = node.all_processes["raylet"][0].process.pid
        print(cluster.address, raylet, flush=True)
        if not sys.stdin.readline():
            break
        node = cluster.add_node(**limits)
    cluster.shutdown()
