{#- What a qube that is a disposable for one job on one repository has to have: for its template, or for a standalone. -#}
{%- from "qubes-borg/install.jinja" import install with context -%}
{{ install("worker") }}
