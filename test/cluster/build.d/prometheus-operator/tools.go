// SPDX-License-Identifier: Apache-2.0

//go:build tools

// The programs that this module pins and builds.
package tools

import (
	_ "github.com/prometheus-operator/prometheus-operator/cmd/operator"
	_ "github.com/prometheus-operator/prometheus-operator/cmd/prometheus-config-reloader"
)
