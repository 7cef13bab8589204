{{/* Labels of one component. Call with (list $ "component"). */}}
{{- define "regimen.labels" -}}
{{- $root := index . 0 -}}
{{ include "regimen.selector" . }}
app.kubernetes.io/part-of: regimen
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- define "regimen.selector" -}}
app.kubernetes.io/name: regimen
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* An image's reference. Call with (list $ image). */}}
{{- define "regimen.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{- $image.ref | default (printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion)) -}}
{{- end }}

{{/* What Pod Security's level "restricted" asks of a pod. */}}
{{- define "regimen.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "regimen.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "regimen.objectStore.endpoint" -}}
{{- if .Values.objectStore.embedded.enabled -}}
http://regimen-objectstore.{{ .Release.Namespace }}.svc:9000
{{- else -}}
{{ .Values.objectStore.endpoint | trimSuffix "/" }}
{{- end -}}
{{- end }}

{{- define "regimen.objectStore.secret" -}}
{{ .Values.objectStore.existingSecret | default "regimen-objectstore" }}
{{- end }}

{{- define "regimen.signingKey.secret" -}}
{{ .Values.signingKey.existingSecret | default "regimen-signing-key" }}
{{- end }}

{{/* Spec of a PersistentVolumeClaim from a `persistence` block. */}}
{{- define "regimen.claim" -}}
accessModes: [ReadWriteOnce]
{{- if not (kindIs "invalid" .storageClassName) }}
storageClassName: {{ .storageClassName | quote }}
{{- end }}
{{- with .selector }}
selector: {{- toYaml . | nindent 2 }}
{{- end }}
resources: {requests: {storage: {{ .size }}}}
{{- end }}

{{/* Where and from what a pod of this chart runs. Call with (list $ component-values). */}}
{{- define "regimen.placement" -}}
{{- $root := index . 0 -}}{{- $values := index . 1 -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
