{{/* Names and labels, in one place. */}}

{{- define "hub.name" -}}{{ .Release.Name }}{{- end -}}

{{/* What `hub graph --format json` printed: targets with their ports, who calls whom, who hears what. */}}
{{- define "hub.graph" -}}{{ .Files.Get "files/graph.json" }}{{- end -}}

{{/* Names of the consumers of a target that share a queue, as a JSON list. */}}
{{- define "hub.queues" -}}
{{- $names := list -}}
{{- range $consumer := .graph.consumers -}}
{{- if and (eq $consumer.target $.target) (eq $consumer.audience "group") }}{{ $names = append $names $consumer.name }}{{ end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{- define "hub.labels" -}}
app.kubernetes.io/part-of: holiday-peak-hub
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .target }}
{{- end -}}

{{- define "hub.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := default $image.tag .version.tag -}}
{{- $digest := .version.digest -}}
{{- if and (not $digest) (not .version.tag) }}{{ $digest = $image.digest }}{{ end -}}
{{- if $digest }}{{ $image.repository }}@{{ $digest }}{{ else }}{{ $image.repository }}:{{ $tag }}{{ end -}}
{{- end -}}

{{/* The sets of pods that a rollout strategy keeps: a list of {track, replicas, version}. */}}
{{- define "hub.tracks" -}}
{{- $rollout := .Values.rollout -}}
{{- if eq $rollout.strategy "rolling" -}}
[{"track": "stable"}]
{{- else if eq $rollout.strategy "canary" -}}
[{"track": "stable"}, {"track": "canary", "replicas": {{ $rollout.canary.replicas }}, "version": {{ dict "tag" $rollout.canary.tag "digest" $rollout.canary.digest | toJson }}}]
{{- else if eq $rollout.strategy "blueGreen" -}}
[{"track": "blue", "version": {{ $rollout.blueGreen.blue | toJson }}}, {"track": "green", "version": {{ $rollout.blueGreen.green | toJson }}}]
{{- else -}}
{{- fail (printf "rollout.strategy is rolling, canary or blueGreen, not %s" $rollout.strategy) -}}
{{- end -}}
{{- end -}}
