{#- For the template of a qube that keeps backups of itself, or for a standalone qube. -#}
{%- from "qubes-borg/install.jinja" import install with context -%}
{{ install("client") }}
