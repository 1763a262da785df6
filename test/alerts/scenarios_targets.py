# SPDX-License-Identifier: Apache-2.0
"""Targets that answer, and not with what is expected of them; their certificates."""
from mesh import Fleet, minutes
from scenarios import FIVE, THREE, Scenario, alert, scenario, target


@scenario
def target_that_answers_with_something_else_is_not_lost():
    f = Fleet(FIVE, minutes(25), targets=("resolver", "web"), probes={"icmp": 15})
    f.bad = "unexpected"
    f.loss = lambda step, src, dst, probe, family: 0.5 if dst == "resolver" and minutes(5) <= step < minutes(12) else 0.0
    return Scenario([f], expect={9: [alert("KubecanaryTargetUnexpected", **target("resolver"))], 14: [alert("KubecanaryTargetUnexpected", **target("resolver"))],
                                 19: []}, silent=(4, 24))


@scenario
def target_that_answers_one_node_with_something_else():
    f = Fleet(FIVE, minutes(15), targets=("resolver",), probes={"icmp": 15})
    f.bad = "unexpected"
    f.loss = lambda step, src, dst, probe, family: 1.0 if (src, dst) == ("n1", "resolver") and step >= minutes(5) else 0.0
    return Scenario([f], expect={9: [alert("KubecanaryTargetUnexpected", **target("resolver"))]}, values=[
        (9, 'sum(target:kubecanary_probe_unexpected:exceeded{source_node="n1"})', 1.0)])


@scenario
def one_unexpected_answer_is_not_a_rate():
    f = Fleet(THREE, minutes(15), targets=("resolver",), probes={"tcp": 3})
    f.bad = "unexpected"
    f.loss = lambda step, src, dst, probe, family: 1 / 3 if (src, dst, step) == ("n1", "resolver", minutes(5)) else 0.0
    return Scenario([f], silent=(5, 5.5, 6, 7, 8, 14))


@scenario
def unexpected_below_the_limit_is_silent():
    f = Fleet(THREE, minutes(15), targets=("resolver",), probes={"icmp": 15})
    f.bad = "unexpected"
    f.loss = lambda step, src, dst, probe, family: 0.04 if dst == "resolver" else 0.0
    return Scenario([f], silent=(5, 9, 14), settings=("mesh", "kubecanary", "5", "2m", "2m"))


def certificates(leaf, chain, families=("IPv4",)):
    """What agents say of the target page: when its certificate ends, and the first of its chain."""
    def gauges(step, node_name):
        place = {"target": "page", "probe": "http", "network": "Pod", "source_node": node_name, "source_zone": f"zone-{node_name}"}
        return {("kubecanary_http_certificate_expiry_timestamp_seconds", tuple({**place, "family": f, "certificate": kind}.items())): end(step)
                for f in families for kind, end in (("leaf", leaf), ("chain", chain))}
    return gauges


TWO_WEEKS = 14 * 86400
YEAR = 365 * 86400


@scenario
def certificate_that_ends_within_two_weeks():
    """It falls below the limit at minute 10 and is renewed at minute 20."""
    f = Fleet(THREE, minutes(30), targets=("page",), probes={"http": 2})
    f.gauges = certificates(lambda step: TWO_WEEKS + 600 if step < minutes(20) else YEAR, lambda step: YEAR)
    ends = alert("KubecanaryCertificateExpiry", target="page", probe="http", family="IPv4", network="Pod")
    return Scenario([f], expect={13: [ends], 19: [ends], 21: []}, silent=(9.75, 25), texts=[
        (15, "KubecanaryCertificateExpiry", ends, {
            "summary": "A certificate of a named target ends soon, or has ended.",
            "description": "The certificate of target page (fleet kubecanary/mesh, network Pod), or another of its chain, has 13d 23h 55m 0s left.",
            "runbook_url": "https://kubecanary.io/runbooks/KubecanaryCertificateExpiry"})])


@scenario
def certificate_of_an_authority_that_ends():
    f = Fleet(THREE, minutes(10), targets=("page",), probes={"http": 2})
    f.gauges = certificates(lambda step: YEAR, lambda step: 60)
    return Scenario([f], expect={5: [alert("KubecanaryCertificateExpiry", target="page", probe="http", family="IPv4", network="Pod")]})


@scenario
def name_that_does_not_resolve_is_no_loss():
    f = Fleet(THREE, minutes(20), targets=("web", "other"), probes={"icmp": 15})
    f.bad = "unresolved"
    f.loss = lambda step, src, dst, probe, family: 1.0 if (src, dst) == ("n1", "web") and minutes(5) <= step < minutes(10) else 0.0
    return Scenario([f], expect={9: [alert("KubecanaryTargetUnresolved", **target("web"))], 17: []}, silent=(4, 19), values=[
        (9, 'count(target:kubecanary_probe_loss:ratio{source_node="n1", target="web"}) or vector(0)', 0.0)])
