{{- define "chiffon-audit.labels" -}}
app.kubernetes.io/name: chiffon-audit
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chiffon-audit.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "chiffon-audit.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
