{{- /* What all pods have alike; (dict "root" $ "component" …). */ -}}

{{- define "tidewire.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "tidewire.container" -}}
image: {{ include "tidewire.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "tidewire.mounts" -}}
- {name: files, mountPath: /etc/tidewire, readOnly: true}
- {name: secrets, mountPath: /run/secrets/tidewire, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "tidewire.volumes" -}}
- name: files
  projected:
    defaultMode: 0440
    sources: {{- include "tidewire.files" . | trim | nindent 6 }}
- name: secrets
{{- with include "tidewire.secrets" . | trim }}
  projected:
    defaultMode: 0440
    sources: {{- . | nindent 6 }}
{{- else }}
  emptyDir: {sizeLimit: 1Mi}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- end -}}

{{- define "tidewire.env" -}}
{{- range $name, $text := include "tidewire.settings" . | fromYaml }}
- {name: {{ $name }}, value: {{ $text | quote }}}
{{- end }}
{{- end -}}

{{- define "tidewire.spread" -}}
{{- range $key, $skew := dict "topology.kubernetes.io/zone" 1 "kubernetes.io/hostname" 1 }}
- maxSkew: {{ $skew }}
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{- include "tidewire.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "tidewire.placement" -}}
{{- $service := index .root.Values .component -}}
topologySpreadConstraints:
{{- if $service.topologySpreadConstraints }}
{{- toYaml $service.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- include "tidewire.spread" . | trim | nindent 2 }}
{{- end }}
{{- with $service.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $service.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $service.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $service.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- /* Port names of the pod: `public` where clients come, `internal` where health and metrics are; the publisher has one for both. */ -}}
{{- define "tidewire.ports" -}}
{{- $service := index .root.Values .component -}}
{{- if eq .component "gateway" -}}
- {name: public, containerPort: {{ int $service.port }}}
- {name: internal, containerPort: {{ int $service.internalPort }}}
{{- else if eq .component "publisher" -}}
- {name: public, containerPort: {{ int $service.port }}}
{{- else if eq .component "registry" -}}
- {name: internal, containerPort: {{ int $service.port }}}
{{- else -}}
- {name: internal, containerPort: {{ int $service.internalPort }}}
{{- end -}}
{{- end -}}

{{- define "tidewire.healthPort" -}}{{ ternary "public" "internal" (eq .component "publisher") }}{{- end -}}

{{- define "tidewire.healthScheme" -}}
{{- if and (eq .component "publisher") .root.Values.publisher.tls.existingSecret -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{- define "tidewire.probes" -}}
{{- $context := . -}}
{{- $startup := ternary "/healthz" "/startupz" (eq .component "router") -}}
{{- range $probe, $path := dict "startup" $startup "readiness" "/readyz" "liveness" "/healthz" }}
{{ $probe }}Probe:
  httpGet: {path: {{ $path }}, port: {{ include "tidewire.healthPort" $context }}, scheme: {{ include "tidewire.healthScheme" $context }}}
  {{- toYaml (index (index $context.root.Values $context.component).probes $probe) | nindent 2 }}
{{- end }}
{{- end -}}
