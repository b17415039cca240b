{{- /* Who may come in, by service, and where each may go. Ports are numbers: not every network plugin knows pods' names of them. */ -}}

{{- define "tidewire.publicPort" -}}{{ int (index .root.Values .component).port }}{{- end -}}

{{- /* Where a service has health and metrics. */ -}}
{{- define "tidewire.internalPort" -}}
{{- $service := index .root.Values .component -}}
{{- int (default $service.port $service.internalPort) -}}
{{- end -}}

{{- /* The internal port, from pods of this release; (dict "root" $ "component" … "from" (list …)). */ -}}
{{- define "tidewire.ingressFrom" -}}
- from:
    {{- range .from }}
    - podSelector:
        matchLabels: {{- include "tidewire.selector" (dict "root" $.root "component" .) | nindent 10 }}
    {{- end }}
  ports: [{port: {{ include "tidewire.internalPort" . }}, protocol: TCP}]
{{- end -}}

{{- /* For Prometheus and the like. */ -}}
{{- define "tidewire.ingressMetrics" -}}
{{- with .root.Values.networkPolicy.metricsFrom }}
- from: {{- toYaml . | nindent 4 }}
  ports: [{port: {{ include "tidewire.internalPort" $ }}, protocol: TCP}]
{{- end }}
{{- end -}}

{{- /* The public port. Probes come from the machine itself, which is never kept out. */ -}}
{{- define "tidewire.ingressPublic" -}}
- ports: [{port: {{ include "tidewire.publicPort" . }}, protocol: TCP}]
  {{- with (index .root.Values .component).networkPolicy.from }}
  from: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "tidewire.gateway.ingress" -}}
{{ include "tidewire.ingressPublic" (dict "root" . "component" "gateway") }}
{{- if .Values.registry.enabled }}
{{ include "tidewire.ingressFrom" (dict "root" . "from" (list "registry" "publisher") "component" "gateway") }}
{{- end }}
{{- include "tidewire.ingressMetrics" (dict "root" . "component" "gateway") }}
{{- end -}}

{{- define "tidewire.publisher.ingress" -}}
{{ include "tidewire.ingressPublic" (dict "root" . "component" "publisher") }}
{{- if .Values.publisher.networkPolicy.from }}
{{- include "tidewire.ingressMetrics" (dict "root" . "component" "publisher") }}
{{- end }}
{{- end -}}

{{- define "tidewire.registry.ingress" -}}
{{ include "tidewire.ingressFrom" (dict "root" . "from" (list "gateway" "router" "publisher") "component" "registry") }}
{{- include "tidewire.ingressMetrics" (dict "root" . "component" "registry") }}
{{- end -}}

{{- define "tidewire.router.ingress" -}}
{{- include "tidewire.ingressMetrics" (dict "root" . "component" "router") }}
{{- end -}}

{{- define "tidewire.ingress" -}}
{{- $rules := include (printf "tidewire.%s.ingress" .component) .root | trim -}}
{{- with .root.Values.networkPolicy.extraIngress -}}
{{- $rules = printf "%s\n%s" $rules (toYaml .) | trim -}}
{{- end -}}
{{- default "[]" $rules -}}
{{- end -}}

{{- /* Where pods may go; (dict "root" $ "component" …). */ -}}
{{- define "tidewire.egress" -}}
{{- $values := .root.Values -}}
{{- $policy := $values.networkPolicy -}}
{{- $component := .component -}}
- ports:
    {{- range $policy.dnsPorts }}
    - {port: {{ int . }}, protocol: UDP}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
{{- if include "tidewire.usesKafka" . }}
{{ include "tidewire.egressTo" (dict "ports" (include "tidewire.kafkaPorts" .root | fromJsonArray) "to" $policy.kafka.to) }}
{{- with $values.kafka.security.tokenUrl }}
{{ include "tidewire.egressTo" (dict "ports" $policy.identityPorts "url" . "to" list) }}
{{- end }}
{{- end }}
{{- if include "tidewire.usesRedis" . }}
{{ include "tidewire.egressTo" (dict "ports" $policy.redis.ports "url" $values.redis.url "to" $policy.redis.to) }}
{{- end }}
{{- if and $values.registry.enabled (has $component (list "gateway" "router" "publisher")) }}
{{ include "tidewire.egressInside" (dict "root" .root "to" "registry") }}
{{- end }}
{{- if and $values.gateway.enabled $values.registry.enabled (has $component (list "registry" "publisher")) }}
{{ include "tidewire.egressInside" (dict "root" .root "to" "gateway") }}
{{- end }}
{{- if and $values.tokens.jwksUrl (has $component (list "gateway" "publisher")) }}
{{ include "tidewire.egressTo" (dict "ports" $policy.identityPorts "url" $values.tokens.jwksUrl "to" list) }}
{{- end }}
{{- if and $values.tracing.endpoint (ne $component "topics") }}
{{ include "tidewire.egressTo" (dict "ports" $policy.tracingPorts "url" $values.tracing.endpoint "to" list) }}
{{- end }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The ports that are named, and those of the URL where one is known. */ -}}
{{- define "tidewire.egressTo" -}}
- ports:
    {{- $ports := list }}
    {{- range concat .ports (include "tidewire.urlPorts" (default "" .url) | fromJsonArray) }}
    {{- $ports = append $ports (int .) }}
    {{- end }}
    {{- range uniq $ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "tidewire.egressInside" -}}
- to:
    - podSelector:
        matchLabels: {{- include "tidewire.selector" (dict "root" .root "component" .to) | nindent 10 }}
  ports: [{port: {{ include "tidewire.internalPort" (dict "root" .root "component" .to) }}, protocol: TCP}]
{{- end -}}

{{- /* As a JSON array. */ -}}
{{- define "tidewire.kafkaPorts" -}}
{{- $ports := .Values.networkPolicy.kafka.ports -}}
{{- if not $ports -}}
{{- range splitList "," .Values.kafka.bootstrap -}}
{{- $ports = append $ports (splitList ":" . | last | int) -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}

{{- /* As a JSON array: of each host of a URL (sentinels are several), by its scheme where it names none. */ -}}
{{- define "tidewire.urlPorts" -}}
{{- $defaults := dict "http" 80 "https" 443 "redis" 6379 "rediss" 6379 "redis+sentinel" 26379 -}}
{{- $ports := list -}}
{{- if . -}}
{{- $scheme := splitList "://" . | first -}}
{{- $hosts := regexReplaceAll "[/?#].*" (splitList "://" . | last) "" -}}
{{- range splitList "," $hosts -}}
{{- $ports = append $ports (int (default (index $defaults $scheme) (regexFind ":[0-9]+$" . | trimPrefix ":"))) -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}
