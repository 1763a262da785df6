# SPDX-License-Identifier: Apache-2.0
"""Targets that answer, and not with what is expected of them."""
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
