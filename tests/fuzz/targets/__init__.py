"""Every parser of what comes from a less trusted side, or from a person, by its name."""

from fuzz.target import Target
from fuzz.targets import (
    authorized_keys,
    bundle,
    call,
    client_settings,
    dom0_settings,
    kit,
    maintenance_settings,
    manifest,
    patterns,
    private_key,
    record,
    recovery_record,
    registry,
    reply,
    request,
)

TARGETS: dict[str, Target] = {
    module.TARGET.name: module.TARGET
    for module in (
        bundle, request, reply, call, authorized_keys, record, dom0_settings, client_settings,
        patterns, maintenance_settings, registry, private_key, kit, manifest,
        recovery_record,
    )
}  # fmt: skip
