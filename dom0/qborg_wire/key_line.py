"""One client's line of the server's authorized_keys: it may append to one repository, no more.

Rendered in the maintenance qube for the file, and in dom0 where a person adds the line by hand.
"""

from qborg_wire import names

NO_QUOTA = "none"


def serve_command(remote_borg: str, repository: names.Repository) -> str:
    """Answer how the server's borg serves this repository and no other, for appending only.

    Raises NameRefused for a value that could be more than a word of it.
    """
    names.parse(names.REMOTE_BORG, 32, remote_borg)
    path = names.parse_repository(str(repository)).path
    return f"{remote_borg} serve --append-only --restrict-to-repository {path}"


def restricted_line(remote_borg: str, repository: names.Repository, public_key: str,
                    quota: str = NO_QUOTA) -> str:
    """Answer the line, without a newline; `quota` is `none` or a size of QUOTA's shape.

    Raises NameRefused for a value that could be more than a word of its line.
    """
    names.parse(names.PUBLIC_KEY, 800, public_key)
    command = serve_command(remote_borg, repository)
    if quota != NO_QUOTA:
        command += f" --storage-quota {names.parse(names.QUOTA, 7, quota)}"
    return f'command="{command}",restrict {public_key} {repository}'
