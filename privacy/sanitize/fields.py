"""The allow-lists: which fields of a record may leave at all, and how each is treated. What is not listed is dropped.

Command lines, messages and payloads are left out on purpose: they carry passwords and names that no pattern knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from models_ml.adapters.columns import FIELD_OF_NAME, HOSTS, NETFLOW_HOSTS, NETFLOW_LABELS, NETFLOW_MEASURES


class Treatment(Enum):
    """What happens to an allowed value."""

    MEASURE = auto()
    """A number or a time passes; any other text is treated as TEXT."""
    TEXT = auto()
    """Identifiers in it are replaced."""
    HOST = auto()
    """An address or a host name: replaced as a whole."""
    USER = auto()
    """An account: replaced as a whole."""
    CATEGORY = auto()
    """A tactic or technique of ATT&CK: written as its id; an unknown one is dropped."""


@dataclass(frozen=True)
class RecordKind:
    """A kind of records: names of fields (nested ones joined by dots) and their treatment."""

    name: str
    fields: Mapping[str, Treatment]


def _kind(
    name: str, *, measures: str = "", texts: str = "", hosts: str = "", users: str = "", categories: str = ""
) -> RecordKind:
    listed = {
        Treatment.MEASURE: measures,
        Treatment.TEXT: texts,
        Treatment.HOST: hosts,
        Treatment.USER: users,
        Treatment.CATEGORY: categories,
    }
    return RecordKind(name, {field: treatment for treatment, names in listed.items() for field in names.split()})


_FLOW_MEASURES = frozenset({"ts", "port", "duration", "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts"})


def _treatment_of(field: str) -> Treatment:
    if field in HOSTS:
        return Treatment.HOST
    return Treatment.MEASURE if field in _FLOW_MEASURES else Treatment.TEXT


FLOW = RecordKind("flow", {name: _treatment_of(field) for name, field in FIELD_OF_NAME.items()})
"""Zeek's conn.log in any spelling and labelled CSV: exactly the columns that training reads."""

NETFLOW = RecordKind(
    "netflow",
    dict.fromkeys(NETFLOW_HOSTS, Treatment.HOST)
    | dict.fromkeys(NETFLOW_MEASURES, Treatment.MEASURE)
    | dict.fromkeys(NETFLOW_LABELS, Treatment.TEXT),
)
"""NetFlow CSV in nProbe's names: exactly the columns that training reads."""

SURICATA = _kind(
    "suricata",
    measures="""
        timestamp src_port dest_port alert.gid alert.signature_id alert.rev alert.severity
        flow.pkts_toserver flow.pkts_toclient flow.bytes_toserver flow.bytes_toclient flow.start flow.end flow.age
        flow.alerted tcp.syn tcp.fin tcp.rst tcp.psh tcp.ack tcp.urg tcp.ecn tcp.cwr dns.answers.ttl
        http.http_port http.status http.length fileinfo.size
    """,
    texts="""
        event_type proto app_proto alert.action alert.signature alert.category alert.metadata.attack_target
        alert.metadata.signature_severity flow.state flow.reason tcp.state tcp.tcp_flags tcp.tcp_flags_ts
        tcp.tcp_flags_tc dns.type dns.rrtype dns.rcode dns.answers.rrtype http.http_method http.protocol
        http.http_content_type http.http_user_agent fileinfo.state fileinfo.magic tls.version tls.ja3.hash
        tls.ja3s.hash anomaly.type anomaly.event anomaly.layer
    """,
    hosts="src_ip dest_ip dns.rrname dns.answers.rrname dns.answers.rdata http.hostname tls.sni",
    categories="alert.metadata.mitre_tactic_id alert.metadata.mitre_technique_id",
)

WINDOWS = _kind(
    "windows",
    measures="""
        @timestamp TimeCreated UtcTime EventTime EventID Level Task Opcode OpcodeValue SeverityValue Version
        SourcePort DestPort DestinationPort IpPort Protocol LogonType
    """,
    texts="""
        Channel SourceName Severity EventType Keywords Category Direction LayerName Image ParentImage SourceImage
        TargetImage ImageLoaded ProcessName NewProcessName ParentProcessName Application OriginalFileName Product
        Company FileVersion Hashes Signed Signature SignatureStatus GrantedAccess AccessMask ObjectType ObjectServer
        TargetObject TargetFilename PipeName IntegrityLevel PrivilegeList EnabledPrivilegeList LogonProcessName
        AuthenticationPackageName TicketEncryptionType Status SubStatus Initiated
    """,
    hosts="""
        Hostname Computer SourceAddress DestAddress SourceIp DestinationIp SourceHostname DestinationHostname
        IpAddress WorkstationName
    """,
    users="""
        User SourceUser TargetUser SubjectUserName TargetUserName AccountName SubjectUserSid TargetUserSid UserID
    """,
)


def kind_of(record: Mapping[str, Any]) -> RecordKind | None:
    """The kind of a record by the fields that mark it; None for a stranger."""
    if "event_type" in record and "timestamp" in record:
        return SURICATA
    if "EventID" in record:
        return WINDOWS
    return FLOW if "proto" in record and "ts" in record else None
