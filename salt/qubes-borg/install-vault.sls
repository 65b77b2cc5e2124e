{#- For the template of a qube that keeps the recovery records, or for a standalone qube. -#}
{%- from "qubes-borg/install.jinja" import install with context -%}
{{ install("vault") }}
