{{- /* Files by service, as sources of a projected volume; (dict "root" $ "component" …). */ -}}

{{- /* Where a secret's key stands: (list SECRET KEY PATH). */ -}}
{{- define "tidewire.file" -}}
- secret:
    name: {{ index . 0 }}
    items:
      - {key: {{ index . 1 | quote }}, path: {{ index . 2 | quote }}}
{{- end -}}

{{- /* Below /etc/tidewire: what settings name as a file. */ -}}
{{- define "tidewire.files" -}}
{{- $values := .root.Values -}}
{{- $security := $values.kafka.security -}}
{{- $component := .component -}}
{{- $public := has $component (list "gateway" "publisher") -}}
{{- if or $public (eq $component "topics") }}
- configMap:
    name: {{ include "tidewire.streamsConfigMap" . }}
    items:
      - {key: {{ ternary "streams.yaml" $values.existingStreams.key (empty $values.existingStreams.configMap) | quote }}, path: streams/streams.yaml}
{{- end }}
{{- if ne $component "topics" }}
{{ include "tidewire.file" (list $values.internalKey.existingSecret $values.internalKey.key "internal/internal.key") }}
{{- end }}
{{- if include "tidewire.usesKafka" . }}
{{- with $security.ca.existingSecret }}
{{ include "tidewire.file" (list . $security.ca.key "kafka-ca/ca.crt") }}
{{- end }}
{{- with $security.tokenCa.existingSecret }}
{{ include "tidewire.file" (list . $security.tokenCa.key "kafka-token-ca/ca.crt") }}
{{- end }}
{{- with $security.certificate.existingSecret }}
{{ include "tidewire.file" (list . $security.certificate.certificateKey "kafka-certificate/tls.crt") }}
{{ include "tidewire.file" (list . $security.certificate.privateKeyKey "kafka-certificate/tls.key") }}
{{- end }}
{{- end }}
{{- if and $values.redis.ca.existingSecret (include "tidewire.usesRedis" .) }}
{{ include "tidewire.file" (list $values.redis.ca.existingSecret $values.redis.ca.key "redis-ca/ca.crt") }}
{{- end }}
{{- if $public }}
{{- with (index $values $component).tls.existingSecret }}
{{ include "tidewire.file" (list . "tls.crt" "tls/tls.crt") }}
{{ include "tidewire.file" (list . "tls.key" "tls/tls.key") }}
{{- end }}
{{- with $values.tokens.existingSecret }}
{{ include "tidewire.file" (list . $values.tokens.key "tokens/token.key") }}
{{- end }}
{{- with $values.tokens.keyFiles.existingSecret }}
{{- range $values.tokens.keyFiles.keys }}
{{ include "tidewire.file" (list $values.tokens.keyFiles.existingSecret . (printf "tokens/%s" .)) }}
{{- end }}
{{- end }}
{{- with $values.tokens.jwksCa.existingSecret }}
{{ include "tidewire.file" (list . $values.tokens.jwksCa.key "jwks-ca/ca.crt") }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The secrets directory: a file a variable. */ -}}
{{- define "tidewire.secrets" -}}
{{- $values := .root.Values -}}
{{- $security := $values.kafka.security -}}
{{- $prefix := ternary "TIDEWIRE_" (printf "TIDEWIRE_%s__" (upper .component)) (eq .component "topics") -}}
{{- if and $security.existingSecret (include "tidewire.usesKafka" .) }}
{{ include "tidewire.file" (list $security.existingSecret $security.passwordKey (printf "%sKAFKA__SECURITY__PASSWORD" $prefix)) }}
{{- with $security.usernameKey }}
{{ include "tidewire.file" (list $security.existingSecret . (printf "%sKAFKA__SECURITY__USERNAME" $prefix)) }}
{{- end }}
{{- end }}
{{- if and $values.redis.existingSecret (include "tidewire.usesRedis" .) }}
{{ include "tidewire.file" (list $values.redis.existingSecret $values.redis.urlKey (printf "%s%sREDIS_URL" $prefix (ternary "TARGETED__" "" (eq .component "gateway")))) }}
{{- end }}
{{- end -}}

{{- define "tidewire.streamsConfigMap" -}}
{{- if .root.Values.existingStreams.configMap -}}
{{- .root.Values.existingStreams.configMap -}}
{{- else if eq .component "topics" -}}
{{- printf "%s-streams" (include "tidewire.name" .) -}}
{{- else -}}
{{- printf "%s-streams" (include "tidewire.fullname" .root) -}}
{{- end -}}
{{- end -}}

{{- define "tidewire.streams" -}}
{{ dict "streams" .Values.streams | toYaml }}
{{- end -}}

{{- define "tidewire.usesKafka" -}}
{{- if or (ne .component "registry") .root.Values.console.enabled -}}true{{- end -}}
{{- end -}}

{{- define "tidewire.usesRedis" -}}
{{- if or (has .component (list "registry" "router")) (and (eq .component "gateway") .root.Values.registry.enabled) -}}true{{- end -}}
{{- end -}}
