{{- /* What the schema cannot say. Each writes a line a problem: the value, what is wrong, the cure. */ -}}

{{- define "tidewire.check.enabled" -}}
{{- $values := .Values -}}
{{- if not (or $values.gateway.enabled $values.publisher.enabled $values.registry.enabled $values.router.enabled) }}
gateway.enabled: nothing is enabled; set gateway.enabled=true, or what is to run
{{- end }}
{{- end -}}

{{- define "tidewire.check.streams" -}}
{{- $values := .Values -}}
{{- $needed := or $values.gateway.enabled $values.publisher.enabled $values.kafka.topics.enabled -}}
{{- if and $needed (not $values.streams) (not $values.existingStreams.configMap) }}
streams: there are none; list them, as in streams: {flights: {topic: flights}}, or name a ConfigMap in existingStreams.configMap
{{- end }}
{{- if and $values.streams $values.existingStreams.configMap }}
existingStreams.configMap: streams stand in the values, too; leave one of the two out
{{- end }}
{{- end -}}

{{- define "tidewire.check.shared" -}}
{{- if not .Values.internalKey.existingSecret }}
internalKey.existingSecret: is not set, and services need a key to know one another; make it with: kubectl -n {{ .Release.Namespace }} create secret generic tidewire-internal --from-literal=internal.key=$(openssl rand -hex 32), and set it to tidewire-internal
{{- end }}
{{- end -}}

{{- define "tidewire.check.public" -}}
{{- $service := index .root.Values .component -}}
{{- $name := .component -}}
{{- if and $service.tls.existingSecret $service.trustProxyTls }}
{{ $name }}.trustProxyTls: the pods speak TLS themselves ({{ $name }}.tls.existingSecret); set one of the two, not both
{{- end }}
{{- if not (or $service.tls.existingSecret $service.trustProxyTls) }}
{{ $name }}.tls.existingSecret: is not set, and tokens are never taken in plain text; name a Secret with tls.crt and tls.key, or set {{ $name }}.trustProxyTls=true where a proxy (Gateway, Ingress, balancer, mesh) speaks TLS to the clients
{{- end }}
{{- $proxied := or $service.httpRoute.enabled $service.ingress.enabled -}}
{{- if and $proxied (eq $name "gateway") (not $service.trustedProxies) }}
gateway.trustedProxies: is empty, and behind {{ ternary "an HTTPRoute" "an Ingress" $service.httpRoute.enabled }} all clients together would have the limits of one address; name the proxies' addresses, such as the cluster's pod network: ["10.244.0.0/16"]
{{- end }}
{{- if and $service.httpRoute.enabled (not $service.httpRoute.parentRefs) }}
{{ $name }}.httpRoute.parentRefs: is empty; name the Gateway, as in [{name: public, namespace: gateways}]
{{- end }}
{{- if and $service.ingress.enabled (not $service.ingress.hosts) }}
{{ $name }}.ingress.hosts: is empty; name the hosts, as in [push.example.org]
{{- end }}
{{- end -}}

{{- define "tidewire.check.kafka" -}}
{{- $security := .Values.kafka.security -}}
{{- $sasl := hasPrefix "SASL_" $security.protocol -}}
{{- $tls := hasSuffix "SSL" $security.protocol -}}
{{- $oauth := eq $security.mechanism "OAUTHBEARER" -}}
{{- if not .Values.kafka.bootstrap }}
kafka.bootstrap: is not set; name the brokers, as in kafka-bootstrap.kafka:9092
{{- end }}
{{- if $sasl }}
{{- if not $security.mechanism }}
kafka.security.mechanism: is not set, and protocol {{ $security.protocol }} needs it; set PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
{{- end }}
{{- if not $security.existingSecret }}
kafka.security.existingSecret: is not set, and protocol {{ $security.protocol }} needs a password; name the Secret that holds it
{{- end }}
{{- if not (or $security.username $security.usernameKey) }}
kafka.security.username: is not set, and protocol {{ $security.protocol }} needs it; set it, or usernameKey to its key in the Secret
{{- end }}
{{- else if or $security.mechanism $security.existingSecret $security.username $security.usernameKey }}
kafka.security.protocol: is {{ $security.protocol }}, which has no users and passwords; set SASL_SSL, or leave mechanism, username, usernameKey and existingSecret out
{{- end }}
{{- if and $security.username $security.usernameKey }}
kafka.security.usernameKey: username is set, too; leave one of the two out
{{- end }}
{{- if and (not $tls) (or $security.ca.existingSecret $security.certificate.existingSecret) }}
kafka.security.protocol: is {{ $security.protocol }}, which has no certificates; set SSL or SASL_SSL, or leave ca and certificate out
{{- end }}
{{- if and $oauth (not $security.tokenUrl) }}
kafka.security.tokenUrl: is not set; OAUTHBEARER gets its tokens there
{{- end }}
{{- if and (not $oauth) (or $security.tokenUrl $security.tokenScope $security.tokenCa.existingSecret) }}
kafka.security.mechanism: tokenUrl, tokenScope and tokenCa are for OAUTHBEARER; set that, or leave them out
{{- end }}
{{- end -}}

{{- define "tidewire.check.tokens" -}}
{{- $tokens := .Values.tokens -}}
{{- $several := or $tokens.keyFiles.existingSecret $tokens.jwksUrl -}}
{{- if and $tokens.existingSecret $several }}
tokens.existingSecret: is the simple form, and keyFiles or jwksUrl name keys, too; leave it out, and add its key to keyFiles where it is still needed
{{- end }}
{{- if and .Values.publisher.enabled (not $tokens.existingSecret) (not $several) }}
tokens.existingSecret: no key is named to verify the tokens of publishers with; name a Secret, or keyFiles, or jwksUrl, or set publisher.enabled=false
{{- end }}
{{- if ne (empty $tokens.keyFiles.existingSecret) (empty $tokens.keyFiles.keys) }}
tokens.keyFiles: needs both, existingSecret and the keys in it, as in keys: [2026-11.pem]
{{- end }}
{{- if and $several (not $tokens.issuer) }}
tokens.issuer: is not set; name whose tokens are taken (their claim iss)
{{- end }}
{{- if and (or $tokens.issuer $tokens.audience $tokens.algorithms) (not $several) (not $tokens.existingSecret) }}
tokens.issuer: issuer, audience and algorithms say nothing without keys; name existingSecret, keyFiles or jwksUrl, or leave them out
{{- end }}
{{- if and $tokens.jwksCa.existingSecret (not $tokens.jwksUrl) }}
tokens.jwksCa.existingSecret: is for jwksUrl, which is not set; set both, or neither
{{- end }}
{{- end -}}

{{- define "tidewire.check.targeted" -}}
{{- $values := .Values -}}
{{- $redis := $values.redis -}}
{{- if and $values.router.enabled (not $values.registry.enabled) }}
router.enabled: a router asks the registry where users are; set registry.enabled=true, or router.enabled=false
{{- end }}
{{- if or $values.registry.enabled $values.router.enabled }}
{{- if not (or $redis.existingSecret $redis.url) }}
redis.existingSecret: is not set, and messages to users need Redis; name a Secret with its URL, or redis.url where it has no password, or set registry.enabled=false and router.enabled=false
{{- end }}
{{- if contains "@" $redis.url }}
redis.url: has a user or a password, which would stand in plain text; put the URL into a Secret, and name that in redis.existingSecret
{{- end }}
{{- if and $redis.existingSecret $redis.url }}
redis.url: existingSecret has the URL, too; leave one of the two out
{{- end }}
{{- end }}
{{- if and $values.registry.enabled $values.gateway.enabled }}
{{- $most := include "tidewire.mostNodes" . | int }}
{{- if gt $most (int $values.registry.slots) }}
registry.slots: is {{ int $values.registry.slots }}, and there may be {{ $most }} gateway nodes at once, those of a rollout included; set it to {{ $most }} or more before the topics are made (it is the number of partitions of tidewire.inbox)
{{- end }}
{{- end }}
{{- end -}}

{{- define "tidewire.check.memory" -}}
{{- $gateway := .Values.gateway -}}
{{- $most := include "tidewire.gateway.maxMemory" . -}}
{{- $log := include "tidewire.bytes" (dig "TIDEWIRE_GATEWAY__LOG_BYTES" "67108864" $gateway.env) -}}
{{- if and $gateway.enabled $most $log (le (int64 $most) (int64 $log)) }}
gateway.resources.limits.memory: a node refuses newcomers at 85 % of it ({{ $most }} bytes), and events alone may take {{ $log }}; raise it, or lower TIDEWIRE_GATEWAY__LOG_BYTES in gateway.env
{{- end }}
{{- end -}}

{{- define "tidewire.check.scaling" -}}
{{- $gateway := .Values.gateway -}}
{{- if and $gateway.autoscaling.enabled $gateway.keda.enabled }}
gateway.keda.enabled: gateway.autoscaling.enabled is set, too, and KEDA makes an autoscaler of its own; set one of the two to false
{{- end }}
{{- if and $gateway.keda.enabled (not $gateway.keda.serverAddress) }}
gateway.keda.serverAddress: is not set; name where Prometheus answers, as in http://prometheus-operated.monitoring:9090
{{- end }}
{{- range $kind := list "autoscaling" "keda" }}
{{- $scaling := index $gateway $kind }}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
gateway.{{ $kind }}.maxReplicas: is below minReplicas; set it to {{ int $scaling.minReplicas }} or more
{{- end }}
{{- end }}
{{- $autoscaling := $gateway.autoscaling }}
{{- if and $autoscaling.enabled (not (or $autoscaling.targetConnections $autoscaling.targetCPUUtilizationPercentage $autoscaling.customMetrics)) }}
gateway.autoscaling.targetConnections: there is nothing to scale by; set it, targetCPUUtilizationPercentage or customMetrics
{{- end }}
{{- end -}}

{{- /* What the chart sets itself is not to be set beside it: the grace period, ports and the rest would not follow. */ -}}
{{- define "tidewire.check.env" -}}
{{- range $component := list "gateway" "publisher" "registry" "router" "topics" }}
{{- $place := ternary "kafka.topics" $component (eq $component "topics") }}
{{- $service := get (merge (dict "topics" $.Values.kafka.topics) $.Values) $component }}
{{- if $service.enabled }}
{{- $own := include "tidewire.settings" (dict "root" $ "component" $component) | fromYaml }}
{{- range $name, $text := $service.env }}
{{- if or (hasKey $own $name) (has $name (list "TIDEWIRE_GATEWAY__NODE" "TIDEWIRE_GATEWAY__TARGETED__ADDRESS" "POD_IP")) }}
{{ $place }}.env: {{ $name }} is set by the chart; use the value that stands for it (README.md), and leave it out here
{{- else if regexMatch "PASSWORD|PASSPHRASE|SECRET|CREDENTIAL|(TOKEN|API)_?KEY$|_TOKEN$|REDIS_URL$|HEADERS$" $name }}
{{ $place }}.env: {{ $name }} would stand in plain text; put it into a Secret, and name that in {{ $place }}.extraEnvFrom: [{secretRef: {name: …}}]
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
