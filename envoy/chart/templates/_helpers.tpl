{{- define "waypost.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "waypost.selector" -}}
app.kubernetes.io/name: waypost
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "waypost.labels" -}}
{{ include "waypost.selector" . }}
app.kubernetes.io/component: control-plane
app.kubernetes.io/part-of: waypost
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "waypost.metadata" -}}
name: {{ include "waypost.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "waypost.labels" . | nindent 2 }}
{{- end }}

{{/* What Envoys call the control plane, and the other names in its certificate. */}}
{{- define "waypost.host" -}}
{{ include "waypost.name" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "waypost.hosts" -}}
{{ include "waypost.host" . }} {{ include "waypost.host" . }}.{{ .Values.mesh.clusterDomain | default "cluster.local" }}
{{- end }}

{{/* Names of objects that belong to no namespace: two releases must not share them. */}}
{{- define "waypost.clusterName" -}}
{{ include "waypost.name" . }}-{{ .Release.Namespace }}
{{- end }}
