"""Metadata of submissions and registrations: names of measures pass, identifiers do not."""

from __future__ import annotations

import pytest

from federation.errors import MetricsInvalid, RegistrationInvalid
from federation.services.registration import Registration
from federation.services.submission_checks import check_metrics

MEASURES = (
    "loss macro_binary_f1 recall.lateral_movement f1.c2 auc.pr average_auc_pr loss.test policy_net "
    "sanitization_rate v1.2 p99.latency-ms model.v1.2.3.loss"
)


@pytest.mark.parametrize("name", MEASURES.split())
def test_names_of_measures_pass(name: str) -> None:
    assert check_metrics({name: 0.5}) == {name: 0.5}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("user.alice_example.com", "host"),
        ("alice_example_com", "host"),
        ("mail.example.de", "host"),
        ("loss.10.0.0.1", "ipv4"),
        ("loss_10_0_0_1", "ipv4"),
        ("from-10-0-0-1", "ipv4"),
        ("mac.00-1a-2b-3c-4d-5e", "mac"),
        ("mac_00_1a_2b_3c_4d_5e", "mac"),
        ("file.d41d8cd98f00b204e9800998ecf8427e", "hash"),
        ("card.4111111111111111", "card"),
        ("account.de89370400440532013000", "iban"),
        ("call.555-123-4567", "phone"),
    ],
)
def test_names_that_hold_an_identifier_are_refused_without_repeating_it(name: str, kind: str) -> None:
    with pytest.raises(MetricsInvalid) as caught:
        check_metrics({name: 0.5})
    assert kind in caught.value.detail
    assert name not in str(caught.value.as_problem())


def register(name: str = "Alpha Security Center", **sources: str) -> Registration:
    return Registration.read(org_id="org-alpha", name=name, data_sources=sources, public_key_text=None)


@pytest.mark.parametrize(
    "text", ["/path/to/soc/logs", "flow records, format zeek-tsv", "Zeek 6.0.1 conn.log", "NetFlow v9"]
)
def test_descriptions_of_sources_pass(text: str) -> None:
    assert register(soc_logs=text).data_sources == {"soc_logs": text}


@pytest.mark.parametrize(
    "text",
    [
        "ask alice@corp.example",
        "siem01.corp.example",
        "10.0.0.1:514",
        "/home/alice/logs",
        "hxxp://siem[.]example",
        "CORP\\alice",
    ],
)
def test_descriptions_that_hold_an_identifier_are_refused(text: str) -> None:
    with pytest.raises(RegistrationInvalid, match=r"data_sources\.soc_logs holds identifiers"):
        register(soc_logs=text)


def test_an_organisation_may_be_called_by_its_domain_and_not_by_an_address() -> None:
    assert register("Corp.example").name == "Corp.example"
    with pytest.raises(RegistrationInvalid, match="org_name holds identifiers"):
        register("Alice <alice@corp.example>")
    with pytest.raises(RegistrationInvalid, match="data_sources holds identifiers"):
        register(**{"10.0.0.1": "a sensor"})
