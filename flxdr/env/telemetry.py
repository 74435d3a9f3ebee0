"""Where telemetry events go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flxdr.platform.configuration import choice, matching, properties, text, url, variable, words

GROUP = "Telemetry"


@dataclass(frozen=True)
class Telemetry:
    """The group *Telemetry*."""

    telemetry_backend: str = variable(
        "TELEMETRY_BACKEND",
        choice("local", "kafka", "roma"),
        "local",
        "where telemetry events go: files under `FL_DATA_DIR/telemetry`, Kafka, or Huawei ROMA MQ. The guide prints "
        "`kafka`; the default here needs no broker",
        group=GROUP,
    )
    telemetry_kafka_brokers: tuple[str, ...] = variable(
        "TELEMETRY_KAFKA_BROKERS",
        words(r"[A-Za-z0-9._-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", "`host:port`, separated by commas"),
        "localhost:9092",
        "Kafka bootstrap brokers, for `TELEMETRY_BACKEND=kafka`",
        group=GROUP,
    )
    telemetry_kafka_properties: Mapping[str, str] | None = variable(
        "TELEMETRY_KAFKA_PROPERTIES",
        properties(
            r"security\.protocol|client\.id|compression\.type|message\.max\.bytes|(ssl|sasl)\.[a-z0-9_.]+",
            "lines `name=value` of librdkafka's properties security.protocol, ssl.*, sasl.*, client.id, "
            "compression.type and message.max.bytes",
        ),
        "",
        "TLS and SASL of Kafka, as librdkafka's properties, one a line; as a rule a file, named by the variable with "
        "`_FILE` (docs/telemetry.md)",
        group=GROUP,
        secret=True,
    )
    telemetry_topic: str = variable(
        "TELEMETRY_TOPIC",
        matching(r"[A-Za-z0-9._-]{1,249}", "a topic's name: letters, digits, dots, dashes and underscores"),
        "flxdr.events",
        "topic of the events at Kafka and ROMA MQ",
        group=GROUP,
    )
    roma_mq_url: str | None = variable(
        "ROMA_MQ_URL", url("https", "http"), "", "address for `TELEMETRY_BACKEND=roma`", group=GROUP
    )
    roma_mq_token: str | None = variable(
        "ROMA_MQ_TOKEN", text(), "", "bearer token for `TELEMETRY_BACKEND=roma`", group=GROUP, secret=True
    )
