// SPDX-License-Identifier: Apache-2.0

//go:build tools

// The programs that this module pins and builds.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
