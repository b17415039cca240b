{{- /* A service's Deployment, PodDisruptionBudget and ServiceAccount; (dict "root" $ "component" …). */ -}}
{{- define "tidewire.deployment" -}}
{{- $service := index .root.Values .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "tidewire.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tidewire.labels" . | nindent 4 }}
  {{- if and (eq .component "gateway") (eq (include "tidewire.gateway.replicas" .) "") }}
  annotations: {tidewire/replicas: autoscaler}
  {{- end }}
spec:
  {{- with include (ternary "tidewire.gateway.replicas" "tidewire.replicas" (eq .component "gateway")) . }}
  replicas: {{ . }}
  {{- end }}
  {{- if eq .component "gateway" }}
  minReadySeconds: {{ include "tidewire.gateway.grace" .root }} # the last one has drained when the next one goes
  progressDeadlineSeconds: {{ add 600 (include "tidewire.gateway.grace" .root) }}
  {{- end }}
  selector:
    matchLabels: {{- include "tidewire.selector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: {{ int $service.maxSurge }}}
  template:
    metadata:
      labels:
        {{- with $service.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "tidewire.podLabels" . | nindent 8 }}
      annotations:
        {{- if has .component (list "gateway" "publisher") }}
        checksum/streams: {{ include "tidewire.streams" .root | sha256sum }}
        {{- end }}
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- with $service.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "tidewire.serviceAccount" . }}
      terminationGracePeriodSeconds: {{ include (printf "tidewire.%s.grace" .component) .root }}
      {{- include "tidewire.podSecurity" . | nindent 6 }}
      {{- include "tidewire.placement" . | nindent 6 }}
      containers:
        - name: {{ .component }}
          {{- include "tidewire.container" . | nindent 10 }}
          args: [{{ .component }}]
          ports: {{- include "tidewire.ports" . | nindent 12 }}
          env:
            {{- if eq .component "gateway" }}
            - name: TIDEWIRE_GATEWAY__NODE
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            {{- if .root.Values.registry.enabled }}
            - name: POD_IP
              valueFrom: {fieldRef: {fieldPath: status.podIP}}
            - name: TIDEWIRE_GATEWAY__TARGETED__ADDRESS
              value: {{ printf (ternary "http://[$(POD_IP)]:%d" "http://$(POD_IP):%d" .root.Values.ipv6) (int $service.internalPort) | quote }}
            {{- end }}
            {{- end }}
            {{- include "tidewire.env" . | trim | nindent 12 }}
            {{- range $name, $text := $service.env }}
            - {name: {{ $name }}, value: {{ $text | quote }}}
            {{- end }}
          {{- with $service.extraEnvFrom }}
          envFrom: {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- include "tidewire.probes" . | trim | nindent 10 }}
          {{- include "tidewire.lifecycle" . | nindent 10 }}
          resources: {{- toYaml $service.resources | nindent 12 }}
          volumeMounts:
            {{- include "tidewire.mounts" . | nindent 12 }}
            {{- with $service.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "tidewire.volumes" . | nindent 8 }}
        {{- with $service.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
---
{{ include "tidewire.budget" . }}
---
{{ include "tidewire.account" . }}
{{- end -}}

{{- /*
The kubelet's own sleep, which needs neither a shell nor a key. A pod that is being deleted leaves its Services as the hook
begins; when it ends, proxies have heard of it. SIGTERM then drains a gateway, exactly as `POST /internal/drain` would, and has
publisher and registry end to listen. A router has no callers: nothing to wait for.
*/ -}}
{{- define "tidewire.lifecycle" -}}
{{- $service := index .root.Values .component -}}
{{- $seconds := 0 -}}
{{- if eq .component "gateway" -}}
{{- $seconds = int $service.drain.preStopSleep -}}
{{- else if ne .component "router" -}}
{{- $seconds = int $service.preStopSleep -}}
{{- end -}}
{{- if $seconds -}}
lifecycle:
  preStop: {sleep: {seconds: {{ $seconds }}}}
{{- end -}}
{{- end -}}

{{- define "tidewire.budget" -}}
{{- $budget := (index .root.Values .component).podDisruptionBudget -}}
{{- if $budget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "tidewire.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tidewire.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ $budget.maxUnavailable }}
  {{- /* A gateway that is overloaded is not ready, and has the most clients. */}}
  unhealthyPodEvictionPolicy: {{ ternary "IfHealthyBudget" "AlwaysAllow" (eq .component "gateway") }}
  selector:
    matchLabels: {{- include "tidewire.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{- define "tidewire.account" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "tidewire.serviceAccount" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tidewire.labels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}
