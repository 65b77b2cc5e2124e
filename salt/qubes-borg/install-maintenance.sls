{#- For the template of a qube that holds the server's admin key, or for a standalone qube. -#}
{%- from "qubes-borg/install.jinja" import install with context -%}
{{ install("maintenance") }}
