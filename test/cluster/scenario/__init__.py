# SPDX-License-Identifier: Apache-2.0
"""The end-to-end test: what a user does, step by step, on a real Kubernetes. Each module holds steps in their order."""
