{{- /* The name of the objects: that of the release, with the name of the chart. The name of a Service begins with a letter and has no
dot, which the name of a release may have. */ -}}
{{- define "scan-admission.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- if regexMatch "^[0-9]" $name -}}
{{- $name = printf "%s-%s" .Chart.Name .Release.Name -}}
{{- end -}}
{{- $name | replace "." "-" | trunc 45 | trimAll "-" -}}
{{- end -}}
{{- end -}}

{{- /* The name of both webhook configurations. */ -}}
{{- define "scan-admission.configuration" -}}
{{- .Values.webhooks.name | default (include "scan-admission.name" .) -}}
{{- end -}}

{{- define "scan-admission.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* The labels besides those that select pods. */ -}}
{{- define "scan-admission.labels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The labels of a part, without those that every object has. */ -}}
{{- define "scan-admission.otherLabels" -}}
{{- $labels := deepCopy .labels -}}
{{- range $name, $_ := .common -}}
{{- $_ := unset $labels $name -}}
{{- end -}}
{{- with $labels -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- /* The Secret with the serving certificate, if the replicas do not make it. */ -}}
{{- define "scan-admission.tlsSecret" -}}
{{- .Values.certificates.secretName | default (printf "%s-tls" (include "scan-admission.name" .)) -}}
{{- end -}}

{{- /* Whether the replicas call the API server: to write caBundles or Events. */ -}}
{{- define "scan-admission.callsApiServer" -}}
{{- or (eq .Values.certificates.source "self-managed") .Values.events.enabled -}}
{{- end -}}

{{- /* In the modes audit and warn an outage denies nothing, as a finding does not either. */ -}}
{{- define "scan-admission.statusFailurePolicy" -}}
{{- .Values.webhooks.status.failurePolicy | default (eq .Values.mode "deny" | ternary "Fail" "Ignore") -}}
{{- end -}}

{{- define "scan-admission.selectors" -}}
{{- with .Values.webhooks.namespaceSelector }}
namespaceSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.webhooks.objectSelector }}
objectSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "scan-admission.webhookAnnotations" -}}
{{- $annotations := merge (deepCopy .Values.webhooks.annotations) .Values.commonAnnotations -}}
{{- if eq .Values.certificates.source "cert-manager" -}}
{{- $_ := set $annotations "cert-manager.io/inject-ca-from" (printf "%s/%s" .Release.Namespace (include "scan-admission.name" .)) -}}
{{- end -}}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "scan-admission.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.placement.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.placement.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.placement.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The configuration, with the mode of every rule that it does not name. status-writer needs a list of users. */ -}}
{{- define "scan-admission.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if ne .Values.mode "deny" -}}
{{- $modes := dict -}}
{{- range splitList " " "{{rule_ids}}" -}}
{{- $_ := set $modes . $.Values.mode -}}
{{- end -}}
{{- if $config.statusWriters -}}
{{- $_ := set $modes "status-writer" .Values.mode -}}
{{- end -}}
{{- $_ := set $config "rules" (merge (dict) ($config.rules | default dict) $modes) -}}
{{- if not $config.faults -}}
{{- $_ := set $config "faults" "allow" -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
