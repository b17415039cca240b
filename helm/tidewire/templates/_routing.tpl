{{- define "tidewire.servicePort" -}}
{{- $service := index .root.Values .component -}}
{{- int (default (ternary 443 80 (not (empty $service.tls.existingSecret))) $service.service.port) -}}
{{- end -}}

{{- /* Tells proxies of the Gateway API how the backend speaks. */ -}}
{{- define "tidewire.appProtocol" -}}
{{- $secured := not (empty (index .root.Values .component).tls.existingSecret) -}}
{{- if eq .component "gateway" -}}
{{- ternary "kubernetes.io/wss" "kubernetes.io/ws" $secured -}}
{{- else -}}
{{- ternary "https" "http" $secured -}}
{{- end -}}
{{- end -}}

{{- /* The gateway's public Service has the name without an ending; of the others there is one. */ -}}
{{- define "tidewire.internalService" -}}
{{- include "tidewire.name" . -}}{{- if eq .component "gateway" -}}-internal{{- end -}}
{{- end -}}
