# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes on one machine: builds its programs, starts and ends it. Knows nothing of what is tested on it."""
