// SPDX-License-Identifier: Apache-2.0

//go:build tools

// The programs that this module pins and builds.
package tools

import (
	_ "helm.sh/helm/v4/cmd/helm"
)
