{{- /* Settings by service: a mapping of variables to text, in YAML. Secrets are files: see _files.tpl. */ -}}

{{- define "tidewire.settings" -}}
TIDEWIRE_SECRETS_DIR: /run/secrets/tidewire
{{ include (printf "tidewire.%s.settings" .component) .root }}
{{ include "tidewire.tracing.settings" . }}
{{- end -}}

{{- define "tidewire.listen" -}}{{ ternary "::" "0.0.0.0" .Values.ipv6 }}{{- end -}}

{{- define "tidewire.gateway.settings" -}}
{{- $gateway := .Values.gateway -}}
TIDEWIRE_GATEWAY__HOST: {{ include "tidewire.listen" . | quote }}
TIDEWIRE_GATEWAY__PORT: {{ int $gateway.port | quote }}
TIDEWIRE_GATEWAY__INTERNAL_HOST: {{ include "tidewire.listen" . | quote }}
TIDEWIRE_GATEWAY__INTERNAL_PORT: {{ int $gateway.internalPort | quote }}
TIDEWIRE_GATEWAY__INTERNAL_KEY_FILE: /etc/tidewire/internal/internal.key
TIDEWIRE_GATEWAY__STREAMS: /etc/tidewire/streams/streams.yaml
TIDEWIRE_GATEWAY__ORIGINS: {{ $gateway.origins | toJson | quote }}
TIDEWIRE_GATEWAY__TRUSTED_PROXIES: {{ $gateway.trustedProxies | toJson | quote }}
TIDEWIRE_GATEWAY__DRAIN_DELAY: {{ int $gateway.drain.delay | quote }}
TIDEWIRE_GATEWAY__DRAIN_WINDOW: {{ int $gateway.drain.window | quote }}
TIDEWIRE_GATEWAY__CONSOLE: {{ .Values.console.enabled | quote }}
TIDEWIRE_GATEWAY__LOG_LEVEL: {{ .Values.logLevel | quote }}
{{- with include "tidewire.gateway.maxMemory" . }}
TIDEWIRE_GATEWAY__LIMITS__MAX_MEMORY: {{ . | quote }}
{{- end }}
{{ include "tidewire.transport.settings" (dict "service" $gateway "prefix" "TIDEWIRE_GATEWAY__") }}
{{ include "tidewire.kafka.settings" (dict "root" . "prefix" "TIDEWIRE_GATEWAY__") }}
{{ include "tidewire.token.settings" (dict "root" . "prefix" "TIDEWIRE_GATEWAY__") }}
{{- if .Values.registry.enabled }}
TIDEWIRE_GATEWAY__TARGETED__REGISTRY_URL: {{ include "tidewire.registryUrl" . | quote }}
{{- include "tidewire.redis.settings" (dict "root" . "variable" "TIDEWIRE_GATEWAY__TARGETED__REDIS_URL") }}
{{- end }}
{{- end -}}

{{- define "tidewire.publisher.settings" -}}
{{- $publisher := .Values.publisher -}}
TIDEWIRE_PUBLISHER__HOST: {{ include "tidewire.listen" . | quote }}
TIDEWIRE_PUBLISHER__PORT: {{ int $publisher.port | quote }}
TIDEWIRE_PUBLISHER__INTERNAL_KEY_FILE: /etc/tidewire/internal/internal.key
TIDEWIRE_PUBLISHER__STREAMS: /etc/tidewire/streams/streams.yaml
TIDEWIRE_PUBLISHER__SHUTDOWN_TIMEOUT: {{ int $publisher.shutdownTimeout | quote }}
TIDEWIRE_PUBLISHER__CONSOLE: {{ .Values.console.enabled | quote }}
TIDEWIRE_PUBLISHER__LOG_LEVEL: {{ .Values.logLevel | quote }}
{{ include "tidewire.transport.settings" (dict "service" $publisher "prefix" "TIDEWIRE_PUBLISHER__") }}
{{ include "tidewire.kafka.settings" (dict "root" . "prefix" "TIDEWIRE_PUBLISHER__") }}
{{ include "tidewire.token.settings" (dict "root" . "prefix" "TIDEWIRE_PUBLISHER__") }}
{{- if .Values.registry.enabled }}
TIDEWIRE_PUBLISHER__REGISTRY_URL: {{ include "tidewire.registryUrl" . | quote }}
{{- end }}
{{- end -}}

{{- define "tidewire.registry.settings" -}}
{{- $registry := .Values.registry -}}
TIDEWIRE_REGISTRY__HOST: {{ include "tidewire.listen" . | quote }}
TIDEWIRE_REGISTRY__PORT: {{ int $registry.port | quote }}
TIDEWIRE_REGISTRY__INTERNAL_KEY_FILE: /etc/tidewire/internal/internal.key
TIDEWIRE_REGISTRY__SLOTS: {{ int $registry.slots | quote }}
TIDEWIRE_REGISTRY__SHUTDOWN_TIMEOUT: {{ int $registry.shutdownTimeout | quote }}
TIDEWIRE_REGISTRY__CONSOLE: {{ .Values.console.enabled | quote }}
TIDEWIRE_REGISTRY__LOG_LEVEL: {{ .Values.logLevel | quote }}
{{- include "tidewire.redis.settings" (dict "root" . "variable" "TIDEWIRE_REGISTRY__REDIS_URL") }}
{{- if .Values.console.enabled }}
{{ include "tidewire.kafka.settings" (dict "root" . "prefix" "TIDEWIRE_REGISTRY__") }}
{{- end }}
{{- end -}}

{{- define "tidewire.router.settings" -}}
TIDEWIRE_ROUTER__INTERNAL_HOST: {{ include "tidewire.listen" . | quote }}
TIDEWIRE_ROUTER__INTERNAL_PORT: {{ int .Values.router.internalPort | quote }}
TIDEWIRE_ROUTER__INTERNAL_KEY_FILE: /etc/tidewire/internal/internal.key
TIDEWIRE_ROUTER__REGISTRY_URL: {{ include "tidewire.registryUrl" . | quote }}
TIDEWIRE_ROUTER__CONSOLE: {{ .Values.console.enabled | quote }}
TIDEWIRE_ROUTER__LOG_LEVEL: {{ .Values.logLevel | quote }}
{{- include "tidewire.redis.settings" (dict "root" . "variable" "TIDEWIRE_ROUTER__REDIS_URL") }}
{{ include "tidewire.kafka.settings" (dict "root" . "prefix" "TIDEWIRE_ROUTER__") }}
{{- end -}}

{{- /* The command line's: `tidewire topics`. */ -}}
{{- define "tidewire.topics.settings" -}}
{{ include "tidewire.kafka.settings" (dict "root" . "prefix" "TIDEWIRE_") }}
{{- end -}}

{{- define "tidewire.transport.settings" -}}
{{- if .service.tls.existingSecret -}}
{{ .prefix }}TLS__CERTIFICATE_FILE: /etc/tidewire/tls/tls.crt
{{ .prefix }}TLS__KEY_FILE: /etc/tidewire/tls/tls.key
{{- else -}}
{{ .prefix }}TRUST_PROXY_TLS: {{ .service.trustProxyTls | quote }}
{{- end -}}
{{- end -}}

{{- define "tidewire.kafka.settings" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $security := $kafka.security -}}
{{ .prefix }}KAFKA__BOOTSTRAP: {{ $kafka.bootstrap | quote }}
{{ .prefix }}KAFKA__SECURITY__PROTOCOL: {{ $security.protocol | quote }}
{{- with $security.mechanism }}
{{ $.prefix }}KAFKA__SECURITY__MECHANISM: {{ . | quote }}
{{- end }}
{{- with $security.username }}
{{ $.prefix }}KAFKA__SECURITY__USERNAME: {{ . | quote }}
{{- end }}
{{- with $security.tokenUrl }}
{{ $.prefix }}KAFKA__SECURITY__TOKEN_URL: {{ . | quote }}
{{- end }}
{{- with $security.tokenScope }}
{{ $.prefix }}KAFKA__SECURITY__TOKEN_SCOPE: {{ . | quote }}
{{- end }}
{{- if $security.ca.existingSecret }}
{{ .prefix }}KAFKA__SECURITY__CA_FILE: /etc/tidewire/kafka-ca/ca.crt
{{- end }}
{{- if $security.tokenCa.existingSecret }}
{{ .prefix }}KAFKA__SECURITY__TOKEN_CA_FILE: /etc/tidewire/kafka-token-ca/ca.crt
{{- end }}
{{- if $security.certificate.existingSecret }}
{{ .prefix }}KAFKA__SECURITY__CERTIFICATE_FILE: /etc/tidewire/kafka-certificate/tls.crt
{{ .prefix }}KAFKA__SECURITY__KEY_FILE: /etc/tidewire/kafka-certificate/tls.key
{{- end }}
{{- end -}}

{{- define "tidewire.redis.settings" -}}
{{- with .root.Values.redis.url }}
{{ $.variable }}: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "tidewire.token.settings" -}}
{{- $tokens := .root.Values.tokens -}}
{{- if $tokens.existingSecret }}
{{ .prefix }}TOKEN_KEY_FILE: /etc/tidewire/tokens/token.key
{{- end }}
{{- if $tokens.keyFiles.existingSecret }}
{{- $files := list }}
{{- range $tokens.keyFiles.keys }}
{{- $files = append $files (printf "/etc/tidewire/tokens/%s" .) }}
{{- end }}
{{ .prefix }}TOKENS__KEY_FILES: {{ join "," $files | quote }}
{{- end }}
{{- with $tokens.jwksUrl }}
{{ $.prefix }}TOKENS__JWKS_URL: {{ . | quote }}
{{- end }}
{{- if $tokens.jwksCa.existingSecret }}
{{ .prefix }}TOKENS__JWKS_CA_FILE: /etc/tidewire/jwks-ca/ca.crt
{{- end }}
{{- with $tokens.issuer }}
{{ $.prefix }}TOKENS__ISSUER: {{ . | quote }}
{{- end }}
{{- with $tokens.audience }}
{{ $.prefix }}TOKENS__AUDIENCE: {{ join "," . | quote }}
{{- end }}
{{- with $tokens.algorithms }}
{{ $.prefix }}TOKENS__ALGORITHMS: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{- define "tidewire.tracing.settings" -}}
{{- $tracing := .root.Values.tracing -}}
{{- if and $tracing.endpoint (ne .component "topics") }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ $tracing.endpoint | quote }}
OTEL_EXPORTER_OTLP_PROTOCOL: {{ $tracing.protocol | quote }}
{{- if not (kindIs "invalid" $tracing.samplerRatio) }}
OTEL_TRACES_SAMPLER: parentbased_traceidratio
OTEL_TRACES_SAMPLER_ARG: {{ $tracing.samplerRatio | quote }}
{{- end }}
{{- end }}
{{- end -}}
