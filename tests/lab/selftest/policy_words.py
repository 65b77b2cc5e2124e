"""A small system and lines of policy, good and bad, for both tests of the evaluator."""

from __future__ import annotations

from lab.policy_tokens import Domain, Domains

UUIDS = {
    "dom0": "00000000-0000-0000-0000-000000000000",
    "work": "11111111-2222-4333-8444-000000000001",
    "vault": "11111111-2222-4333-8444-000000000002",
    "maint": "11111111-2222-4333-8444-000000000003",
    "dvm": "11111111-2222-4333-8444-000000000004",
    "disp7": "11111111-2222-4333-8444-000000000005",
}


def domain(name: str, klass: str, tags: str = "", *, running: bool = True) -> Domain:
    """Describe one qube of the small system that these tests ask about."""
    return Domain(
        name,
        UUIDS[name],
        klass,
        frozenset(tags.split()),
        "Running" if running else "Halted",
        template_for_dispvms=name == "dvm",
        default_dispvm="dvm" if name in ("work", "dom0", "disp7") else None,
    )


DOMAINS = Domains(
    (
        domain("dom0", "AdminVM"),
        domain("work", "AppVM", "client"),
        domain("vault", "AppVM", "client storage", running=False),
        domain("maint", "StandaloneVM", "maintenance"),
        domain("dvm", "AppVM", "client", running=False),
        domain("disp7", "DispVM", "client"),
    )
)

GOOD_LINES = (
    "t.Say * * * allow",
    "t.Say + work @default allow target=dom0",
    "t.Say +a+b @dispvm:dvm @dispvm allow",
    "t.Say * @dispvm:@tag:client @dispvm:@tag:client deny",
    "t.Say * * * allow user= notify=yes",
    "t.Say * $anyvm ! allow",
    "  t.Say\t*  *\t* deny  notify=no ",
    "# comment",
    "t.Say * * uuid:no-uuid allow",
    "t.Say * * @default ask",
)

BAD_LINES = (
    "t.Say * * *",
    "t.Say",
    "t.Say * * * permit",
    "t.Say * * * Allow",
    "t.Say * * * allow # comment",
    "t.Say * * * allow,notify=yes",
    "t.Say * * * allow notify=true",
    "t.Say * * * allow autostart=",
    "t.Say * * * allow target=",
    "t.Say * * * allow target=*",
    "t.Say * * * allow target=@default",
    "t.Say * * * allow target=@anyvm",
    "t.Say * * * allow target=@tag:x",
    "t.Say * * * allow default_target=work",
    "t.Say * * * allow notify=yes notify=yes",
    "t.Say * * * allow rule=1",
    "t.Say * * * allow =1",
    "t.Say * * * deny autostart=no",
    "t.Say * * * deny target=work",
    "t.Say * * * deny user=root",
    "t.Say * * * ask default_target=@tag:a",
    "t.Say * * @default allow",
    "t.Say * @default * allow",
    "t.Say * @dispvm * allow",
    "t.Say * @foo * allow",
    "t.Say * @ * allow",
    "t.Say * @type: * allow",
    "t.Say * @tag:@x * allow",
    "t.Say * * @dispvm: allow",
    "t.Say * * @dispvm:@tag: allow",
    "t.Say * * @dispvm:@x allow",
    "t.Say a * * allow",
    "t.Say +a/b * * allow",
    "t.Say ++@ * * allow",
    "t.Say+a * * * allow",
    "t/Say * * * allow",
    "* + * * allow",
    "* +a * * allow",
    "t.S\u00e4y * * * allow",
    "!include",
    "!unknown x",
)
