"""Stand-in for the pillar of qubes-mgmt-salt-base: what a qube is. Runs in dom0."""

import qubesadmin

TYPES = {"AdminVM": "admin", "TemplateVM": "template", "StandaloneVM": "standalone"}


def ext_pillar(minion_id: str, pillar: object) -> dict[str, dict[str, str]]:
    """Answer the type and the template of a qube, nothing for a name that is none."""
    app = qubesadmin.Qubes()
    if minion_id not in app.domains:
        return {}
    qube = app.domains[minion_id]
    told = {"type": TYPES.get(qube.klass, "app")}
    template = getattr(qube, "template", None)
    return {"qubes": told | ({"template": str(template)} if template else {})}
