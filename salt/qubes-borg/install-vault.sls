{#- What a qube that keeps the recovery records has to have: for its template, or for a standalone. -#}
{%- from "qubes-borg/install.jinja" import install with context -%}
{{ install("vault") }}
