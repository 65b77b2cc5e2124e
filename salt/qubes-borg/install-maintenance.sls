{#- What a qube that holds the server's admin key has to have: for its template, or for a standalone. -#}
{%- from "qubes-borg/install.jinja" import install with context -%}
{{ install("maintenance") }}
