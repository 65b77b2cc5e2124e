{#- What a qube that keeps backups of itself has to have, cron among it: for its template, or for a standalone. -#}
{%- from "qubes-borg/install.jinja" import install with context -%}
{{ install("client") }}
