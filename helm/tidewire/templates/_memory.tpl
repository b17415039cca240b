{{- /* Bytes of a quantity such as 2Gi; nothing for forms that nobody writes memory in. */ -}}
{{- define "tidewire.bytes" -}}
{{- if kindIs "string" . -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if regexMatch "^[0-9]+([.][0-9]+)?([kMGT]|[KMGT]i)?$" . -}}
{{- mulf (regexFind "^[0-9.]+" .) (index $units (regexFind "[A-Za-z]*$" .)) | int64 -}}
{{- end -}}
{{- else if . -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{- /* When a gateway refuses newcomers; nothing where there is no limit, or `env` says it. */ -}}
{{- define "tidewire.gateway.maxMemory" -}}
{{- $gateway := .Values.gateway -}}
{{- if not (hasKey $gateway.env "TIDEWIRE_GATEWAY__LIMITS__MAX_MEMORY") -}}
{{- with include "tidewire.bytes" (dig "limits" "memory" "" $gateway.resources) -}}
{{- mulf . 0.85 | int64 -}}
{{- end -}}
{{- end -}}
{{- end -}}
