"""The brokers of a run: one, or a cluster of three with a copy of everything on each."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from ioc.broker import Broker, new_cluster_id
from ioc.ports import LOOPBACK, free_port
from ioc.settings import Settings, load_settings

#: What a cluster of three has instead of what ships for one node: nothing is lost while one of them is away.
THREE = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "unclean.leader.election.enable": "false",
    # A follower that is paused leaves the set of those in step within this time.
    "replica.lag.time.max.ms": "10000",
}


class Brokers:
    """Real Kafka nodes, each of which may be killed, ended, paused and started again."""

    def __init__(self, directory: Path, nodes: int = 1, far: Mapping[str, int] | None = None) -> None:
        """`far`: by the name of a worker, the port at which it reaches the one node through a link of its own."""
        ports = [(free_port(), free_port()) for _ in range(nodes)]
        voters = ",".join(
            f"{number}@{LOOPBACK}:{controller}" for number, (_, controller) in enumerate(ports, 1)
        )
        cluster = new_cluster_id()
        #: Port of the node's listener behind each link.
        self.behind = {name: free_port() for name in far or {}}
        self.nodes: dict[str, Broker] = {}
        for number, (client, controller) in enumerate(ports, 1):
            settings = load_settings(
                bootstrap_servers="",
                state_dir=directory / f"broker-{number}",
                broker_port=client,
                broker_controller_port=controller,
                broker_heap_mb=512 if nodes == 1 else 320,
            )
            properties = {"node.id": str(number), "controller.quorum.voters": voters}
            properties |= THREE if nodes > 1 else {}
            properties |= self._listeners(settings, far or {})
            self.nodes[f"broker-{number}"] = Broker(
                settings, lambda _: None, properties=properties, cluster=cluster
            )

    def _listeners(self, settings: Settings, far: Mapping[str, int]) -> dict[str, str]:
        if not far:
            return {}
        near, controller = settings.broker_port, settings.broker_controller_port
        names = {name: f"FAR_{number}" for number, name in enumerate(far, 1)}
        listening = [f"PLAINTEXT://{LOOPBACK}:{near}", f"CONTROLLER://{LOOPBACK}:{controller}"]
        listening += [f"{label}://{LOOPBACK}:{self.behind[name]}" for name, label in names.items()]
        told = [f"PLAINTEXT://{LOOPBACK}:{near}"]
        told += [f"{label}://{LOOPBACK}:{far[name]}" for name, label in names.items()]
        protocols = ["PLAINTEXT", "CONTROLLER", *names.values()]
        return {
            "listeners": ",".join(listening),
            "advertised.listeners": ",".join(told),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in protocols),
        }

    @property
    def address(self) -> str:
        """All nodes, as clients are told of them."""
        return ",".join(broker.address for broker in self.nodes.values())

    @property
    def copies(self) -> int:
        return 3 if len(self.nodes) > 1 else 1

    def start(self, *names: str) -> None:
        """Start these nodes, or all, and wait until they answer."""
        chosen = [self.nodes[name] for name in names or self.nodes]
        for broker in chosen:
            broker.start()
        for broker in chosen:
            broker.wait_ready()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a node a signal; a killed one has ended when this returns."""
        broker = self.nodes[name]
        if number == signal.SIGKILL:
            broker.kill()
        elif (pid := broker.pid) is not None and broker.poll() is None:
            os.kill(pid, number)

    def ended(self, name: str) -> bool:
        return self.nodes[name].poll() is not None

    def stop(self) -> None:
        for broker in self.nodes.values():
            if broker.pid is not None and broker.poll() is None:
                os.kill(broker.pid, signal.SIGCONT)
            broker.stop()
