// SPDX-License-Identifier: Apache-2.0

// CoreDNS with what a cluster's DNS takes of it: every other plugin brings the SDK of a cloud or of a store.
package main

import (
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"

	"github.com/coredns/coredns/coremain"
)

func main() { coremain.Run() }
