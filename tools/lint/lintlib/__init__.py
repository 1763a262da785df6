# SPDX-License-Identifier: Apache-2.0
"""The rules of tools/lint/run, a module for each kind. A rule is a function from a Tree to findings."""
