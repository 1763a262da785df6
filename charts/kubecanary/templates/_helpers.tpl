{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "kubecanary.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of the operator's objects: RELEASE-kubecanary, or the release's name alone where it says kubecanary already.
     Cut at 52, so that what is appended to it stays within a label's 63. */}}
{{- define "kubecanary.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Names of cluster-wide objects carry the namespace too: two releases of one name in two namespaces must not share them. */}}
{{- define "kubecanary.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "kubecanary.fullname" .) -}}
{{- end -}}

{{- define "kubecanary.selectorLabels" -}}
app.kubernetes.io/name: kubecanary-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* For objects that are not the operator's pods; nothing selects by them. */}}
{{- define "kubecanary.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/part-of: kubecanary
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "kubecanary.labels" -}}
{{ include "kubecanary.selectorLabels" . }}
{{ include "kubecanary.commonLabels" . }}
{{- end -}}

{{- define "kubecanary.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kubecanary.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- /* An empty name would bind the roles to the namespace's default account, and so to every pod in it. */ -}}
{{- required "serviceAccount.name: the name of an existing service account is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* One image as a string: call with (dict "root" $ "image" .Values.image). */}}
{{- define "kubecanary.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry -}}
{{- $name := .image.repository -}}
{{- if $registry -}}
{{- $name = printf "%s/%s" $registry .image.repository -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "kubecanary.imagePullSecrets" -}}
{{- $all := concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) | uniq -}}
{{- if $all -}}
imagePullSecrets:
{{ toYaml $all }}
{{- end -}}
{{- end -}}

{{/* What the operator does in a namespace that it watches. */}}
{{- define "kubecanary.namespaceRules" -}}
- apiGroups: [kubecanary.io]
  resources: [probefleets]
  verbs: [get, list, watch]
- apiGroups: [kubecanary.io]
  resources: [probefleets/status]
  verbs: [get, patch]
# Owner references with blockOwnerDeletion, where the cluster checks them.
- apiGroups: [kubecanary.io]
  resources: [probefleets/finalizers]
  verbs: [update]
# The children. Server-side apply needs create and patch, no update.
- apiGroups: [apps]
  resources: [daemonsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules]
  verbs: [get, list, watch, create, patch, delete]
# The agents' addresses; patch: the annotation that makes the kubelet fetch new peers at once; delete, if asked for: agents that are to
# try other settings of the allocator first (agent.allocator.rollout).
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch{{ if .Values.rbac.replaceAgents }}, delete{{ end }}]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
