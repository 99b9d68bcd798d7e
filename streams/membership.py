"""A reader's place in a consumer group of kafka-python: taken, and taken again where the client lost it."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition

#: Seconds after which a join that was begun counts as lost. One that only waits for another reader may take as long,
#: and loses nothing by being begun anew.
JOIN_SECONDS = 15.0


class Membership(ConsumerRebalanceListener):
    """The place of `consumer` among the readers of a topic in its group.

    kafka-python 3.0.12 forgets a join that was begun by news of the topic where `poll` returns in the midst of it:
    the answer is never looked at and heartbeats stay off, so the reader gets nothing more, without an error. Two
    things keep a reader from that. The topic is asked for before the first join, so that there is no news of it right
    after; and a join that does not end is begun again (`keep`).

    Raises what the client does where the broker refuses or does not answer.
    """

    def __init__(self, consumer: KafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        #: When the join that has not ended was begun.
        self._begun: float | None = None
        self._join()

    def keep(self) -> None:
        """To be called beside each `poll`: join again where the join before was lost."""
        if self._begun is not None and monotonic() - self._begun > JOIN_SECONDS:
            self._begun = monotonic()
            self._consumer.unsubscribe()
            self._join()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """A join has begun; said by the client."""
        self._begun = monotonic()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The join has ended; said by the client."""
        self._begun = None

    def _join(self) -> None:
        self._consumer.subscribe([self._topic], listener=self)
        self._consumer.topics()
