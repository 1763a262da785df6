# SPDX-License-Identifier: Apache-2.0
"""Rules made wrong on purpose, and the scenarios of which one must notice: (what, text, replacement, scenarios)."""
import scenarios as s

MUTANTS = [
    ("late counts as loss", 'result=~"lost|unreachable|corrupt"', 'result=~"lost|unreachable|corrupt|late"', [s.late_is_not_loss]),
    ("unreachable is not loss", "lost|unreachable|corrupt", "lost|corrupt", [s.only_the_probe_that_fails]),
    ("corrupt is not loss", "lost|unreachable|corrupt", "lost|unreachable", [s.corrupt_is_loss]),
    ("send_error counts as a result", 'result!="send_error"', 'result!=""', [s.nothing_sent_at_all_is_no_loss]),
    ("nothing measured is 0 %", ":increase{fleet=\"mesh\", namespace=\"kubecanary\"} > 0)", ":increase{fleet=\"mesh\", namespace=\"kubecanary\"})", [s.in_flight_is_neither_lost_nor_zero_percent]),
    ("a series that ended still counts", "        and\n      sum without (container, endpoint, instance, job, node, pod) (\n"
     "        kubecanary_probe_sent_total", "        or\n      sum without (container, endpoint, instance, job, node, pod) (\n"
     "        0 * kubecanary_probe_sent_total", [s.removed_node_that_lost_a_few_at_the_end_never_fires]),
    ("one lost probe is a rate", ":increase{fleet=\"mesh\", namespace=\"kubecanary\"} >= 2", ":increase{fleet=\"mesh\", namespace=\"kubecanary\"} >= 0",
     [s.one_lost_probe_is_not_a_rate]),
    ("half of the peers is most", "> 0.5\n        )\n  # ...", ">= 0.5\n        )\n  # ...", [s.two_bad_links_of_one_node_of_five_are_pairs]),
    ("one peer is most", ") >= 2)", ") >= 1)", [s.two_nodes_name_the_pair]),
    ("dead destinations blame the source", "unless ignoring (source_node, source_zone) destination:", "unless destination:",
     [s.half_of_the_nodes_dead_and_no_other_is_blamed]),
    ("a bad node keeps its pairs as destination", '"destination_node", "$1", "node", "(.+)")', '"destination_node", "x", "node", "(.+)")',
     [s.dead_node_is_named_and_its_pairs_are_not]),
    ("a bad node keeps its pairs as source", '"source_node", "$1", "node", "(.+)")\n    for', '"source_node", "x", "node", "(.+)")\n    for',
     [s.lossy_node_that_lives_is_named_once, s.node_that_only_cannot_send]),
    ("resolves late", "keep_firing_for: \"2m\"", "keep_firing_for: \"10m\"", [s.pair_loss_fires_for_that_pair_and_resolves]),
    ("no waiting", "    for: \"2m\"", "    for: \"0s\"", [s.pair_loss_fires_for_that_pair_and_resolves]),
    ("fleets are mixed", 'fleet="mesh", ', "", [s.the_rules_of_one_fleet_leave_another_alone]),
    ("namespaces are mixed", ', namespace="kubecanary"', "", [s.the_rules_of_one_fleet_leave_another_alone]),
    ("the limit is not the fleet's", "> 0.05", "> 0.01", [s.below_the_limit_of_the_fleet_is_silent]),
    ("a pod is part of a pair's name", "job, node, pod, result)", "job, node, result)", [s.agent_in_a_new_pod_is_no_loss_and_no_new_pair]),
    ("a paused pair is a silent pair", "and ignoring (destination_node, destination_zone)\n", "or ignoring (destination_node, destination_zone)\n",
     [s.paused_fleet_is_silent]),
    ("a node that nobody probes is a silent pair", "and ignoring (source_node, source_zone)\n          sum", "or ignoring (source_node, source_zone)\n          0 * sum",
     [s.node_kept_in_the_files_but_not_probed_is_silent]),
    ("a dead target is every node's own", "> 0.5\n        )\n    for", "> 5\n        )\n    for", [s.target_lost_from_everywhere_is_the_targets_fault]),
]
