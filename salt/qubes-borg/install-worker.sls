{#- For the template of a qube that does one job on one repository, or for a standalone qube. -#}
{%- from "qubes-borg/install.jinja" import install with context -%}
{{ install("worker") }}
