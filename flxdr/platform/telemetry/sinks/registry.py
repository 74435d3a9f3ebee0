"""The sink of `TELEMETRY_BACKEND`."""

from __future__ import annotations

from django.conf import settings

from flxdr.core.errors import Misconfigured
from flxdr.platform.telemetry.sinks.interface import Sink
from flxdr.platform.telemetry.sinks.local import LocalSink
from flxdr.platform.telemetry.sinks.roma import RomaSink


def configured_sink() -> Sink:
    """A new sink as the settings say.

    Raises:
        Misconfigured: the sink lacks an address or its client; the system checks say so at the start.
    """
    env = settings.FLXDR
    if env.telemetry_backend == "roma":
        if not (env.roma_mq_url and env.roma_mq_token):
            raise Misconfigured("TELEMETRY_BACKEND=roma needs ROMA_MQ_URL and ROMA_MQ_TOKEN")
        return RomaSink(url=env.roma_mq_url, token=env.roma_mq_token, topic=env.telemetry_topic)
    if env.telemetry_backend == "kafka":
        from flxdr.platform.telemetry.sinks.kafka import KafkaSink  # noqa: PLC0415 - 20 MB that the others do not need

        return KafkaSink(
            brokers=env.telemetry_kafka_brokers,
            topic=env.telemetry_topic,
            properties=env.telemetry_kafka_properties or {},
        )
    return LocalSink(env.data_dir / "telemetry")
