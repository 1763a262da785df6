# SPDX-License-Identifier: Apache-2.0
# The three images for those who build with docker, podman or buildah; `make images` makes the same without any of them.
#   docker build --target operator -t localhost/kubecanary-operator:0.1.0 --build-arg REVISION=$(git rev-parse --short=12 HEAD) .
# Targets: agent, agent-jemalloc, operator. Each holds static programs and nothing else: no shell, no loader, no CA bundle (the operator
# trusts the CA that is mounted with its service account, the agents' helper those that its targets name).
ARG BASE=debian:12-slim

FROM ${BASE} AS build
ARG REVISION=unknown
WORKDIR /src
COPY tools/install-packages tools/install-packages
COPY tools/packages tools/packages
RUN apt-get update && tools/install-packages build release
COPY . .
RUN KUBECANARY_CACHE=/cache make release "REVISION=${REVISION}"

FROM scratch AS agent
COPY --from=build /src/build/release/kubecanary-agent /src/build/release/kubecanary-http /
USER 65532:65532
LABEL org.opencontainers.image.title="kubecanary-agent" org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/kubecanary-agent"]

FROM scratch AS agent-jemalloc
COPY --from=build /src/build/release/kubecanary-agent-jemalloc /kubecanary-agent
COPY --from=build /src/build/release/kubecanary-http /kubecanary-http
USER 65532:65532
LABEL org.opencontainers.image.title="kubecanary-agent-jemalloc" org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/kubecanary-agent"]

FROM scratch AS operator
COPY --from=build /src/build/release/kubecanary-operator /kubecanary-operator
USER 65532:65532
LABEL org.opencontainers.image.title="kubecanary-operator" org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/kubecanary-operator"]
