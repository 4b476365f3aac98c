{{/* The labels of everything that belongs to one of the three programs: "operator", "nats", "postgres". */}}
{{- define "vapora.labels" -}}
app.kubernetes.io/name: vapora-{{ . }}
app.kubernetes.io/part-of: vapora
{{- end }}

{{/* Where the graph is: a store of the user's, our PostgreSQL, or a file. */}}
{{- define "vapora.graph" -}}
{{- if .Values.graph.url }}{{ .Values.graph.url }}
{{- else if .Values.postgres.enabled }}postgresql://vapora@vapora-postgres.$(POD_NAMESPACE).svc:5432/vapora
{{- else }}sqlite:///var/lib/vapora/graph.db
{{- end }}
{{- end }}

{{/* Whether the graph is a file, as "true" or "". */}}
{{- define "vapora.isFile" -}}
{{- if hasPrefix "sqlite:" (include "vapora.graph" .) }}true{{ end }}
{{- end }}

{{/* Where the broker is; empty where there is none. */}}
{{- define "vapora.broker" -}}
{{- if .Values.nats.enabled }}nats://vapora-nats.$(POD_NAMESPACE).svc:4222{{ else }}{{ .Values.nats.url }}{{ end }}
{{- end }}

{{- define "vapora.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* A name of its own for each configuration, so that a change of it replaces the pod. */}}
{{- define "vapora.natsConfig" -}}
vapora-nats-{{ .Files.Get "objects/nats.conf" | sha256sum | trunc 10 }}
{{- end }}

{{- define "vapora.gpuSettings" -}}
{{- if .Values.gpu }}{{ toPrettyJson .Values.gpu }}{{ else }}{{ .Files.Get "objects/gpu.json" }}{{ end }}
{{- end }}

{{- define "vapora.gpuConfig" -}}
vapora-gpu-{{ include "vapora.gpuSettings" . | sha256sum | trunc 10 }}
{{- end }}

{{- define "vapora.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .claim }}
  namespace: {{ .namespace }}
  labels:
    {{- include "vapora.labels" .program | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes: [ReadWriteOnce]
  {{- with .persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ .persistence.size }}}
{{- end }}
