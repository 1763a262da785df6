# SPDX-License-Identifier: Apache-2.0
"""The programs of the test cluster: what each is built from, and where it is once built."""
from dataclasses import dataclass, field
from pathlib import Path

from . import cache, golang, paths
from .shell import Failure

KUBERNETES = "1.37.2"
VERSION_PACKAGE = "github.com/prometheus/common/version"


@dataclass(frozen=True)
class Tool:
    """One module of build.d: programs maps the name of a program to its package, share is a folder of the module to keep."""
    name: str
    version: str
    module: str
    programs: dict
    links: dict = field(default_factory=dict)
    ldflags: str = ""
    tags: str = ""
    share: str = ""

    def key(self) -> str:
        return cache.digest(repr(self), golang.VERSION, paths.RECIPES / self.name)

    def path(self) -> Path:
        """Its directory in the cache; builds it if it is not there."""
        return cache.product(self.name, self.version, self.key(), lambda folder: golang.build(self, folder))

    def is_built(self) -> bool:
        return cache.where(self.name, self.version, self.key()).is_dir()


def _kubernetes() -> Tool:
    version, package = KUBERNETES, "k8s.io/component-base/version"
    major, minor, _ = version.split(".")
    names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"]
    return Tool("kubernetes", version, "k8s.io/kubernetes", {"hyperkube": "."}, links=dict.fromkeys(names, "hyperkube"),
                ldflags=f"-X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}")


def _containerd() -> Tool:
    module = "github.com/containerd/containerd/v2"
    names = ["containerd", "containerd-shim-runc-v2", "ctr"]
    return Tool("containerd", "2.4.2", module, {n: f"{module}/cmd/{n}" for n in names}, ldflags=f"-X {module}/version.Version=2.4.2",
                tags="no_btrfs,no_devmapper,no_zfs,no_aufs")


def _helm() -> Tool:
    return Tool("helm", "4.3.1", "helm.sh/helm/v4", {"helm": "helm.sh/helm/v4/cmd/helm"},
                ldflags="-X helm.sh/helm/v4/internal/version.version=v4.3.1")


def _prometheus_operator() -> Tool:
    module = "github.com/prometheus-operator/prometheus-operator"
    return Tool("prometheus-operator", "0.85.0", module,
                {"prometheus-operator": f"{module}/cmd/operator", "prometheus-config-reloader": f"{module}/cmd/prometheus-config-reloader"},
                ldflags=f"-X {VERSION_PACKAGE}.Version=0.85.0", share="example/prometheus-operator-crd")


def _prometheus() -> Tool:
    module = "github.com/prometheus/prometheus"
    # Of the service discoveries only the one that the cluster needs: the others pull in the SDK of every cloud.
    return Tool("prometheus", "3.16.0", module, {n: f"{module}/cmd/{n}" for n in ["prometheus", "promtool"]},
                ldflags=f"-X {VERSION_PACKAGE}.Version=3.16.0", tags="remove_all_sd,enable_kubernetes_sd")


def _coredns() -> Tool:
    return Tool("coredns", "1.15.0", "github.com/coredns/coredns", {"coredns": "."})


def _single(name: str, version: str, module: str) -> Tool:
    return Tool(name, version, module, {name: f"{module}/cmd/{name}"})


# In the order of building: what the chart tests need first, the longest then.
ALL = [
    _helm(),
    _single("kubeconform", "0.8.0", "github.com/yannh/kubeconform"),
    _single("helm-unittest", "1.1.2", "github.com/helm-unittest/helm-unittest"),
    _kubernetes(),
    _containerd(),
    _prometheus(),
    _prometheus_operator(),
    _coredns(),
]


def tool(name: str) -> Tool:
    for candidate in ALL:
        if candidate.name == name:
            return candidate
    raise Failure(f"no tool {name}; there are: {' '.join(t.name for t in ALL)}")


def program(name: str) -> Path:
    """The path of a program, of whichever tool it is; builds the tool if need be."""
    for candidate in ALL:
        if name in candidate.programs or name in candidate.links:
            return candidate.path() / "bin" / name
    raise Failure(f"no program {name}; there are: {' '.join(sorted(n for t in ALL for n in [*t.programs, *t.links]))}")
