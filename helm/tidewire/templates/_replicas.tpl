{{- define "tidewire.replicas" -}}{{ int (index .root.Values .component).replicas }}{{- end -}}

{{- /*
How many gateways the Deployment asks for; nothing where an autoscaler always has counted them. One that begins to finds them counted by
Helm, which takes a number that is left out as an order to remove it: the API's default is 1, and all others would drain at once. So
the number of the moment stays in, then and ever after. The annotation tells a Deployment that never had one.
*/ -}}
{{- define "tidewire.gateway.replicas" -}}
{{- $gateway := .root.Values.gateway -}}
{{- if not (or $gateway.autoscaling.enabled $gateway.keda.enabled) -}}
{{- int $gateway.replicas -}}
{{- else -}}
{{- $there := lookup "apps/v1" "Deployment" .root.Release.Namespace (include "tidewire.name" .) -}}
{{- $by := dig "metadata" "annotations" "tidewire/replicas" "" $there -}}
{{- if and $there (ne $by "autoscaler") -}}
{{- int $there.spec.replicas -}}
{{- end -}}
{{- end -}}
{{- end -}}
