# SPDX-License-Identifier: Apache-2.0
"""The parts of the demo: the fleet, Prometheus, the screen, the story."""
