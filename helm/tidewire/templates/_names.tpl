{{- define "tidewire.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The name of a service's objects, of (dict "root" $ "component" …). */ -}}
{{- define "tidewire.name" -}}
{{- printf "%s-%s" (include "tidewire.fullname" .root) .component -}}
{{- end -}}

{{- define "tidewire.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* Nothing in them changes with the chart's version, which would move every client. */ -}}
{{- define "tidewire.podLabels" -}}
{{ include "tidewire.selector" . }}
app.kubernetes.io/part-of: tidewire
{{- end -}}

{{- define "tidewire.labels" -}}
{{ include "tidewire.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tidewire
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "tidewire.serviceAccount" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
{{- default (include "tidewire.name" .) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{- define "tidewire.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "tidewire.registryUrl" -}}
{{- printf "http://%s:%d" (include "tidewire.name" (dict "root" . "component" "registry")) (int .Values.registry.port) -}}
{{- end -}}

{{- /* What Prometheus calls a service: the alerts look for `tidewire` in it. */ -}}
{{- define "tidewire.job" -}}
{{- $name := include "tidewire.name" . -}}
{{- ternary $name (printf "tidewire-%s" $name) (contains "tidewire" $name) -}}
{{- end -}}

{{- /* The most gateway nodes that there are at once: in a rollout new ones are there before old ones are told to go, and those that went before still drain. */ -}}
{{- define "tidewire.mostNodes" -}}
{{- $gateway := .Values.gateway -}}
{{- $most := $gateway.replicas -}}
{{- if $gateway.autoscaling.enabled -}}{{- $most = $gateway.autoscaling.maxReplicas -}}{{- end -}}
{{- if $gateway.keda.enabled -}}{{- $most = $gateway.keda.maxReplicas -}}{{- end -}}
{{- add $most (mul 2 $gateway.maxSurge) -}}
{{- end -}}

{{- /* Ends by its own in 5 s after the window; the rest is to spare. */ -}}
{{- define "tidewire.gateway.grace" -}}
{{- $drain := .Values.gateway.drain -}}
{{- add $drain.preStopSleep $drain.delay $drain.window 15 -}}
{{- end -}}

{{- /* Requests have the timeout, and then what Kafka has not confirmed has it once more. */ -}}
{{- define "tidewire.publisher.grace" -}}
{{- add .Values.publisher.preStopSleep (mul 2 .Values.publisher.shutdownTimeout) 10 -}}
{{- end -}}

{{- define "tidewire.registry.grace" -}}
{{- add .Values.registry.preStopSleep .Values.registry.shutdownTimeout 10 -}}
{{- end -}}

{{- define "tidewire.router.grace" -}}30{{- end -}}
