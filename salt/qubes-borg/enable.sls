{#-
  Switch on, in dom0, cron and our role for each qube whose record says that it is enrolled: the
  record's uuid is the qube's own (a copy carries another's) and its schedule was set up.
-#}
{%- from "qubes-borg/map.jinja" import qborg with context -%}
{%- set known = qborg.enrolled -%}
{%- if grains['id'] != 'dom0' -%}
qubes-borg-enable-refused:
  test.fail_without_changes:
    - comment: this state is for dom0 alone; run it there without --skip-dom0 and --targets
{%- else -%}
{%- set enrolled = [] -%}
{%- for line in salt['cmd.run_stdout'](known.list_command, python_shell=False).splitlines() -%}
{%-   set name, class, uuid = (line.split('|') + ['', ''])[:3] -%}
{%-   if class in known.classes and name | regex_match('([A-Za-z][A-Za-z0-9_.-]{0,30}$)') -%}
{%-     set asked = [known.feature_command, name, known.feature] -%}
{%-     set told = salt['cmd.run_all'](asked, python_shell=False, ignore_retcode=True) -%}
{%-     set ends = ',"step":"([a-z-]+)","times":\\{[^{}]*\\},"uuid":"' ~ uuid ~ '"\\}$' -%}
{%-     set step = told.stdout | regex_search(ends) if told.retcode == 0 else none -%}
{%-     if uuid and step and step[0] in known.steps -%}
{%-       do enrolled.append(name) -%}
{%-     endif -%}
{%-   endif -%}
{%- endfor -%}
{%- for name in enrolled %}
qubes-borg-enable-{{ name }}:
  qvm.service:
    - name: {{ name | json }}
    - enable: {{ known.services | json }}
{% else %}
qubes-borg-enable-nobody:
  test.succeed_without_changes:
    - comment: no qube is enrolled
{%- endfor %}
{%- endif %}
