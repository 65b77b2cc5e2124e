{#-
  Take our packages out of a template or standalone and let borgmatic's own timer be as it was.
  borg, borgmatic, cron and what is in qubes stay: see docs/salt.md, "What stays after remove".
-#}
{%- from "qubes-borg/map.jinja" import qborg with context -%}
{%- set kind = salt['pillar.get']('qubes:type', 'unknown') -%}
{%- if kind not in qborg.installed_in -%}
qubes-borg-remove-refused:
  test.fail_without_changes:
    - comment: nothing is removed from {{ grains['id'] }} (type {{ kind }}); use --skip-dom0 and
        --targets with the name of a template or standalone qube
{%- else -%}
{#- Purged, since a service that stays behind as a configuration file would still be offered. #}
qubes-borg-remove-packages:
  pkg.purged:
    - pkgs:
{%- for name in qborg.roles + ['common'] %}
      - {{ qborg.prefix }}{{ name }}
{%- endfor %}
{%- for unit in qborg.unmasked %}

qubes-borg-remove-unmasked-{{ unit }}:
  service.unmasked:
    - name: {{ unit }}
{%- endfor %}

qubes-borg-remove-advertised:
  cmd.run:
    - name: {{ qborg.post_install }}
    - onchanges:
      - pkg: qubes-borg-remove-packages
{%- endif %}
