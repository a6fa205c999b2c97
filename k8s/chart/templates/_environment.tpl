{{/* The environment of one process: where everything is, secrets by reference. */}}
{{- define "hub.environment" -}}
{{- $values := .root.Values -}}
- {name: HUB__HUB__PROFILE, value: production}
- {name: HUB__HUB__DRAIN_DELAY_MS, value: {{ mul 1000 $values.drainDelaySeconds | toString | quote }}}
- {name: HUB_DATA_DIR, value: /data}
- {name: HUB_NAMESPACE, value: {{ $values.namespace | quote }}}
- {name: HUB__TLS__CERT, value: /identity/tls.crt}
- {name: HUB__TLS__KEY, value: /identity/tls.key}
- {name: HUB__TLS__CA, value: /identity/ca.crt}
- {name: HUB__TLS__TRUST_DOMAIN, value: {{ $values.trustDomain | quote }}}
- name: HUB__MESH__INTERNAL_KEY
  valueFrom: {secretKeyRef: {name: {{ $values.secrets.mesh }}, key: internal_key}}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $values.secrets.database }}, key: DATABASE_URL}}
- name: DATABASE_READ_URL
  valueFrom: {secretKeyRef: {name: {{ $values.secrets.database }}, key: DATABASE_READ_URL, optional: true}}
- name: AMQP_URL
  valueFrom: {secretKeyRef: {name: {{ $values.secrets.broker }}, key: AMQP_URL}}
- name: REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ $values.secrets.cache }}, key: REDIS_URL}}
{{- with $values.blobUrl }}
- {name: BLOB_URL, value: {{ . | quote }}}
{{- end }}
{{- range $peer := .graph.targets }}
{{- if and (ne $peer.name $.target.name) (ne $peer.name "gateway") }}
- {name: HUB__PEERS__{{ upper $peer.name }}, value: "dns:{{ include "hub.name" $.root }}-{{ $peer.name }}:{{ $peer.port }}"}
{{- end }}
{{- end }}
{{- if $values.telemetry.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $values.telemetry.endpoint | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: {{ $values.telemetry.sampler }}}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ $values.telemetry.samplerArgument | quote }}}
- {name: OTEL_SERVICE_NAME, value: hub-{{ .target.name }}}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: "service.namespace=hub,deployment.track={{ .track }}"}
{{- end }}
{{- range $key, $value := $values.settings }}
- {name: {{ $key }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end -}}
